/**
 * Whose request the event loop works at next. Requests that have no reason to wait (a get from the watch cache) hold their seat for
 * no time at all, so the fair queues of priority and fairness never see that they are many: they would be answered in the order in
 * which their sockets are read, and who has hundreds under way would go before whoever has one.
 */

/** A turn of the event loop is to take no longer: those who come meanwhile are looked at then. */
const TURN_MS = 4;
/** Requests that go on in one turn of the event loop where some wait; fewer where they make it too long. */
const MOST_IN_A_TURN = 16;
/** No fewer, and one of each user: it may be other work than theirs that makes turns long. */
const LEAST_IN_A_TURN = 4;

export class UserTurns {
  /** By user: who has something to go on with, in the order of their turns. */
  readonly #waiting = new Map<string, (() => void)[]>();
  /** Since when no turn of the event loop was asked for, and when the last request came, by the clock of `performance.now`. */
  #since_ms = 0;
  #last_ms = 0;
  #inATurn = MOST_IN_A_TURN;
  readonly #now_ms: () => number;
  readonly #inNextTurn: (work: () => void) => void;

  constructor(now_ms = () => performance.now(), inNextTurn: (work: () => void) => void = setImmediate) {
    this.#now_ms = now_ms;
    this.#inNextTurn = inNextTurn;
  }

  /** Waits until it is the turn of a request of this user; undefined where that is now. */
  take(user: string): Promise<void> | undefined {
    if (this.#waiting.size === 0 && this.#hasRested()) return undefined;
    return new Promise((resolve) => {
      if (this.#waiting.size === 0) this.#inNextTurn(() => this.#goOn());
      const own = this.#waiting.get(user);
      if (own) own.push(resolve);
      else this.#waiting.set(user, [resolve]);
    });
  }

  #hasRested(): boolean {
    const now_ms = this.#now_ms();
    if (now_ms - this.#last_ms > TURN_MS) this.#since_ms = now_ms;
    this.#last_ms = now_ms;
    return now_ms - this.#since_ms <= TURN_MS;
  }

  /** One of each user in turn. */
  #goOn(): void {
    const now_ms = this.#now_ms();
    const isTooLong = now_ms - this.#since_ms > TURN_MS;
    const fewer = Math.max(LEAST_IN_A_TURN, this.#inATurn >> 1);
    this.#inATurn = isTooLong ? fewer : Math.min(MOST_IN_A_TURN, this.#inATurn + 1);
    this.#since_ms = this.#last_ms = now_ms;
    const most = Math.max(this.#inATurn, this.#waiting.size);
    for (let count = 0; count < most; count++) {
      const [next] = this.#waiting;
      if (!next) break;
      const [user, own] = next;
      this.#waiting.delete(user);
      own.shift()?.();
      if (own.length > 0) this.#waiting.set(user, own);
    }
    if (this.#waiting.size > 0) this.#inNextTurn(() => this.#goOn());
  }
}
