// The server's stream of events: it is kept open, and opened again behind the last event when it breaks.

const FIRST_PAUSE_SECONDS = 0.3; // before a stream that has broken is tried again; doubled each time
const LONGEST_PAUSE_SECONDS = 15;
const PATIENCE_SECONDS = 2; // without a stream, before that is told
const SILENT_BEATS = 2.5; // after so many pauses between two comments of the server the stream counts as broken
const FIRST_BEAT_SECONDS = 15; // until the server says how long they are

/**
 * @typedef {object} StreamEvent
 * @property {string} name start, change, reset, redis or end
 * @property {string | null} id behind which a stream goes on that has told this event
 * @property {any} data as docs/page.md describes it
 */

/** Listens to `GET events` until it is closed. The address may lead to another server each time. */
export class EventStream {
  /**
   * @param {string | null} after the id of the last event that is known; null: none is
   * @param {(event: StreamEvent) => void} tell is given each event
   * @param {(state: 'connecting' | 'live' | 'lost') => void} tellState is given how the stream stands, when that changes
   */
  constructor(after, tell, tellState) {
    this.after = after;
    this.tell = tell;
    this.tellState = tellState;
    this.closing = new AbortController();
    this.failures = 0;
    this.pause = 0; // milliseconds that the server asked for; 0: it did not
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.patience = setTimeout(() => this.tellState('lost'), PATIENCE_SECONDS * 1000);
    addEventListener('online', () => this.wake?.(), { signal: this.closing.signal });
    this.tellState('connecting');
    this.#run();
  }

  /** Ends the stream for good. */
  close() {
    this.closing.abort();
    clearTimeout(this.patience);
    this.wake?.();
  }

  async #run() {
    while (!this.closing.signal.aborted) {
      this.pause = 0;
      const status = await this.#listen().catch(() => 0);
      if (this.closing.signal.aborted) return;
      // Whoever asks for anything else is led to the login.
      if (status === 401) this.tell({ name: 'end', id: null, data: { reason: 'login' } });
      await this.#rest(status === 200 ? this.pause : 0);
    }
  }

  /** Opens the stream, and tells what comes until it ends. Returns the status of the answer. */
  async #listen() {
    const ending = new AbortController();
    const end = () => ending.abort();
    this.closing.signal.addEventListener('abort', end);
    let beat = FIRST_BEAT_SECONDS;
    let watch = setTimeout(end, beat * SILENT_BEATS * 1000);
    try {
      /** @type {Record<string, string>} */
      const headers = this.after === null ? {} : { 'last-event-id': this.after };
      const response = await fetch('events', { headers, cache: 'no-store', signal: ending.signal });
      if (!response.ok || !response.body) return response.status;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return 200;
        clearTimeout(watch);
        watch = setTimeout(end, beat * SILENT_BEATS * 1000);
        const blocks = (rest + value).split('\n\n');
        rest = blocks.pop() ?? '';
        for (const block of blocks) beat = this.#take(block) ?? beat;
      }
    } finally {
      clearTimeout(watch);
      this.closing.signal.removeEventListener('abort', end);
      ending.abort();
    }
  }

  /**
   * Takes what stands between two empty lines. Returns the seconds between comments, where it says so.
   * @param {string} block
   */
  #take(block) {
    /** @type {Record<string, string>} */
    const fields = {};
    for (const line of block.split('\n')) {
      const colon = line.indexOf(': ');
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
    }
    this.pause = Number(fields.retry ?? 0);
    if (!fields.event || this.closing.signal.aborted) return undefined;
    const event = { name: fields.event, id: fields.id ?? null, data: JSON.parse(fields.data) };
    this.after = event.id ?? this.after;
    if (event.name === 'start') this.#begin();
    this.tell(event);
    return event.data.beat_seconds;
  }

  #begin() {
    this.failures = 0;
    clearTimeout(this.patience);
    this.patience = undefined;
    this.tellState('live');
  }

  /**
   * Waits before the next try: not all pages of a server that has ended shall come at once.
   * @param {number} asked milliseconds that the server asked for; 0: it did not
   */
  #rest(asked) {
    const seconds = Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** this.failures);
    this.failures += 1;
    if (this.patience === undefined) {
      this.tellState('connecting');
      this.patience = setTimeout(() => this.tellState('lost'), PATIENCE_SECONDS * 1000);
    }
    return new Promise((resolve) => {
      this.wake = () => resolve(undefined);
      setTimeout(this.wake, asked || seconds * 1000 * (0.5 + Math.random()));
    });
  }
}
