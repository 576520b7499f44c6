// One image's review in this window: changes, undo, and saving each of them before the next is sent.
class Refusal extends Error {
  constructor(status, answer) {
    super(answer.error ?? `The server answered ${status}.`);
    this.status = status;
    this.current = answer.current;
  }
}

class Server {
  constructor(token) {
    this.token = token;
  }

  async ask(address, { method = "GET", body, keepalive = false } = {}) {
    const headers = { "X-Review-Token": this.token, ...(body ? { "Content-Type": "application/json" } : {}) };
    const answer = await fetch(address, { method, headers, keepalive, body: body && JSON.stringify(body) });
    if (answer.ok) return answer;
    throw new Refusal(answer.status, await answer.json().catch(() => ({})));
  }

  async json(address, options) {
    return (await this.ask(address, options)).json();
  }
}

class ImageState {
  // `tell` is called with every change of what is saved: "saving", "saved", "waiting", "conflict", "refused".
  constructor(server, info, tell) {
    this.server = server;
    this.info = info;
    this.review = info.review;
    this.saved = JSON.stringify(info.review);
    this.tell = tell;
    this.past = [];
    this.future = [];
    this.isSaving = false;
    this.isStuck = false;
  }

  get isDirty() {
    return this.isStuck || this.isSaving || JSON.stringify(this.review) !== this.saved;
  }

  // `coalesce` names a change that replaces the one before it, such as the letters of a comment.
  change(fields, { coalesce = null } = {}) {
    if (!coalesce || this.coalesced !== coalesce) this.past.push(this.review);
    this.coalesced = coalesce;
    this.future = [];
    this.review = { ...this.review, ...fields };
    this.save();
  }

  undo() {
    this.step(this.past, this.future);
  }

  redo() {
    this.step(this.future, this.past);
  }

  step(from, to) {
    if (!from.length) return;
    to.push(this.review);
    this.coalesced = null;
    const { marks, is_reviewed, comment } = from.pop();
    this.review = { ...this.review, marks, is_reviewed, comment };
    this.save();
  }

  async save({ keepalive = false } = {}) {
    if (this.isSaving || this.isStuck) return;
    this.isSaving = true;
    this.tell("saving", this);
    try {
      while (JSON.stringify(this.review) !== this.saved) {
        const sent = this.review;
        const address = `api/images/${this.info.number}`;
        const kept = await this.server.json(address, { method: "PUT", body: sent, keepalive });
        this.review = { ...this.review, revision: kept.revision, changed_at: kept.changed_at };
        this.saved = JSON.stringify({ ...sent, revision: kept.revision, changed_at: kept.changed_at });
      }
      this.isSaving = false;
      this.tell("saved", this);
    } catch (error) {
      this.isSaving = false;
      this.failed(error);
    }
  }

  failed(error) {
    if (error.status === 409) {
      this.isStuck = true;
      this.theirs = error.current;
      this.tell("conflict", this, error.message);
    } else if (error.status === 422) {
      this.review = { ...JSON.parse(this.saved) };
      this.past.pop();
      this.tell("refused", this, error.message);
    } else {
      this.tell("waiting", this, error.message);
      setTimeout(() => this.save(), 2000);
    }
  }

  takeTheirs() {
    this.isStuck = false;
    this.review = this.theirs;
    this.saved = JSON.stringify(this.theirs);
    this.past = [];
    this.future = [];
    this.tell("saved", this);
  }

  keepMine() {
    this.isStuck = false;
    this.review = { ...this.review, revision: this.theirs.revision };
    this.saved = JSON.stringify(this.theirs);
    this.save();
  }
}
