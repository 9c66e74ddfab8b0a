/** Plays a scenario to a server and gives what was observed, in a form in which two servers can be compared. */
import { comparable, withoutChosenFields } from "../wire/answer.ts";
import { fieldsOfMessage } from "../wire/protobuf-fields.ts";
import type { Json, Target } from "../wire/request.ts";
import { EventStream, parsedOr } from "./event-stream.ts";
import { Revisions } from "./revisions.ts";
import type { Observed, Read, Scenario, Watch, Write } from "./scenario.ts";

export interface Side {
  readonly target: Target;
  /** Makes the store forget its history. */
  compact(): Promise<void>;
  /** Starts the server anew; afterwards `target` is where it is. */
  restart(): Promise<void>;
}

/** When a watch has had all that it will: once so many events have come (replayed), or once it has been quiet (recorded). */
export type Expectation = (label: string) => number | undefined;

const QUIET_MS = 1_500;
/** In which an event too many may come. */
const MORE_MS = 60;
const PATIENCE_MS = 30_000;

export async function play(side: Side, { steps }: Scenario, expected: Expectation): Promise<Map<string, Observed>> {
  const player = new Player(side);
  await player.begin();
  for (const step of steps) {
    switch (step.do) {
      case "write":
        await player.write(step);
        break;
      case "read":
        await player.read(step);
        break;
      case "watch":
        await player.watch(step);
        break;
      case "compact":
        await side.compact();
        await player.noteCompaction(step.label);
        break;
      case "restart":
        await player.settle(expected);
        await side.restart();
        break;
    }
  }
  return player.finish(expected);
}

type Raw =
  | { readonly kind: "answer"; readonly response: Response; readonly text: string; readonly compared: boolean }
  | { readonly kind: "stream"; readonly stream: EventStream };

class Player {
  readonly #side: Side;
  readonly #revisions = new Revisions();
  readonly #raw = new Map<string, Raw>();
  readonly #ending = new Set<string>();

  constructor(side: Side) {
    this.#side = side;
  }

  async begin(): Promise<void> {
    await this.noteMoment("the beginning");
  }

  async noteCompaction(label: string): Promise<void> {
    this.#revisions.compacted(label, await this.#now());
  }

  async noteMoment(label: string): Promise<void> {
    this.#revisions.done(label, await this.#now());
  }

  async #now(): Promise<number> {
    const list = (await (await this.#send("GET", "/api/v1/namespaces?limit=1")).json()) as Json;
    return Number((list["metadata"] as Json)["resourceVersion"]);
  }

  async write(step: Write): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      const response = await this.#send(step.method, this.#filled(step.path), step);
      const text = await response.text();
      if (step.until === undefined || response.status === step.until) {
        this.#raw.set(step.label, { kind: "answer", response, text, compared: false });
        break;
      }
      if (performance.now() > end) throw new Error(`${step.label}: still ${response.status} ${text}`);
      await Bun.sleep(50);
    }
    if (!step.isIdle) await this.noteMoment(step.label);
  }

  async read(step: Read): Promise<void> {
    const response = await this.#send(step.method, this.#filled(step.path), step);
    this.#raw.set(step.label, { kind: "answer", response, text: await response.text(), compared: true });
    if (step.method !== "GET" && response.ok) await this.noteMoment(step.label);
  }

  async watch(step: Watch): Promise<void> {
    const stop = new AbortController();
    const response = await this.#send("GET", this.#filled(step.path), step, stop.signal);
    this.#raw.set(step.label, { kind: "stream", stream: new EventStream(response, stop) });
    if (step.ends) this.#ending.add(step.label);
  }

  #filled(path: string): string {
    return path.replace(/\{(\w+):([^}]+)\}/g, (_, what: string, label: string) => {
      if (what === "after") return String(this.#revisions.after(label));
      if (what === "future") return String(this.#revisions.after(label) + 1_000_000);
      const raw = this.#raw.get(label);
      const metadata = raw?.kind === "answer" ? (JSON.parse(raw.text)["metadata"] as Json) : {};
      const value = metadata[what === "of" ? "resourceVersion" : "continue"];
      if (typeof value !== "string") throw new Error(`${label} has no ${what}: ${JSON.stringify(raw)}`);
      return encodeURIComponent(value);
    });
  }

  #send(
    method: string,
    path: string,
    { body, headers }: Pick<Write, "body" | "headers"> = {},
    signal: AbortSignal = AbortSignal.timeout(PATIENCE_MS),
  ): Promise<Response> {
    const { target } = this.#side;
    const type = body === undefined ? {} : { "content-type": "application/json" };
    return fetch(target.url + path, {
      method,
      headers: { "user-agent": "differential", accept: "application/json", ...type, ...headers, ...target.headers },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      signal,
      tls: target.tls,
    } as RequestInit);
  }

  /** Takes what the watches that are open still get, and ends them. */
  async settle(expected: Expectation): Promise<void> {
    const open = [...this.#raw].flatMap(([label, raw]) =>
      raw.kind === "stream" && !raw.stream.isStopped ? [{ label, stream: raw.stream }] : [],
    );
    await Promise.all(
      open.map(({ label, stream }) => {
        if (this.#ending.has(label)) return stream.untilEnded(PATIENCE_MS);
        const count = expected(label);
        return count === undefined ? stream.untilQuiet(QUIET_MS) : stream.untilCount(count, PATIENCE_MS);
      }),
    );
    await Bun.sleep(MORE_MS);
    for (const { label, stream } of open) stream.stop(this.#ending.has(label));
  }

  async finish(expected: Expectation): Promise<Map<string, Observed>> {
    await this.settle(expected);
    this.#noteObjects();
    return new Map([...this.#raw].map(([label, raw]) => [label, this.#observed(raw)]));
  }

  #noteObjects(): void {
    for (const raw of this.#raw.values()) {
      const values = raw.kind === "stream" ? raw.stream.values : [parsedOr(raw.text)];
      for (const value of values)
        walkRevisions(value, (revision, isMoment) => {
          if (!isMoment) this.#revisions.sawObject(Number(revision));
          return revision;
        });
    }
  }

  #observed(raw: Raw): Observed {
    if (raw.kind === "stream") {
      const { stream } = raw;
      const events = stream.events.map((each) =>
        each instanceof Uint8Array ? binaryEvent(each) : this.#namedEvent(each),
      );
      return { code: stream.code, type: typeOf(stream.response), events, ...(stream.ended && { ended: true }) };
    }
    const { response, text, compared } = raw;
    if (!compared) return { code: response.status };
    const retryAfter = response.headers.get("retry-after");
    return {
      code: response.status,
      type: typeOf(response),
      ...(retryAfter !== null && { retryAfter }),
      body: this.#named(parsedOr(text)),
    };
  }

  #namedEvent(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    const { object, ...rest } = value as Json;
    // Within its event: an event of a bookmark is named otherwise.
    const named = this.#named(value) as Json;
    return object === undefined ? named : { ...rest, object: comparable(named["object"], JSON.stringify(named)) };
  }

  #named(value: unknown): unknown {
    const names = new Set<string>();
    const named = walkRevisions(value, (revision, isMoment) => {
      if (!/^\d+$/.test(revision)) return revision;
      const name = isMoment ? this.#revisions.ofMoment(Number(revision)) : this.#revisions.ofObject(Number(revision));
      names.add(name);
      return name;
    });
    return comparable(withNamedMessages(named, this.#revisions), JSON.stringify([...names]));
  }
}

const typeOf = (response: Response): string =>
  (response.headers.get("content-type") ?? "").replace(/;\s*charset=utf-8/i, "");

const binaryEvent = (message: Uint8Array): unknown => withoutChosenFields(fieldsOfMessage(message) ?? [], "");

type About = "object" | "list" | "bookmark" | "change";

/** Gives each revision in a value another text. Those of lists and bookmarks are moments; in a change of a watch, a table's is
 *  its object's. */
function walkRevisions(
  value: unknown,
  change: (revision: string, isMoment: boolean) => string,
  about: About = "object",
): unknown {
  if (Array.isArray(value)) return value.map((each) => walkRevisions(each, change, about));
  if (value === null || typeof value !== "object") return value;
  const object = value as Json;
  const isList = Array.isArray(object["items"]) || Array.isArray(object["rows"]);
  const inside = about === "object" ? aboutEvent(object["type"]) : about;
  return Object.fromEntries(
    Object.entries(object).map(([key, item]) => {
      if (key === "resourceVersion" && typeof item === "string")
        return [key, change(item, about === "list" || about === "bookmark")];
      return [key, walkRevisions(item, change, key === "metadata" && isList && inside === "object" ? "list" : inside)];
    }),
  );
}

function aboutEvent(type: unknown): About {
  if (type === "BOOKMARK") return "bookmark";
  return type === "ADDED" || type === "MODIFIED" || type === "DELETED" ? "change" : "object";
}

/** Revisions in texts of errors. */
function withNamedMessages(value: unknown, revisions: Revisions): unknown {
  return JSON.parse(
    JSON.stringify(value)
      .replace(/(Too large resource version: )\d+(, current: )\d+/g, "$1FUTURE$2NOW")
      .replace(/(too old resource version: )(\d+) \((\d+)\)/g, (_, text: string, asked: string) => {
        return `${text}${revisions.ofMoment(Number(asked))} (OLDEST)`;
      }),
  );
}
