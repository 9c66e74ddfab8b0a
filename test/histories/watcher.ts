/** One watch after the other, each from where its seed says, and written down. */
import { readLines } from "#shared/client/line-stream.ts";
import type { Random } from "../fuzz/random.ts";
import type { Surroundings } from "./client.ts";
import type { Frame, WatchRun, WatchSelection } from "./history.ts";
import { collectionPath } from "./requests.ts";
import { namespaces, resources } from "./resources.ts";
import { openStream } from "./server-call.ts";

/** A watch ends after some of so many frames, or when the server ends it after some of so many seconds. */
const mostFrames = 40;
const longest_s = 5;

export class HistoryWatcher {
  readonly watches: WatchRun[] = [];
  readonly #random: Random;
  readonly #surroundings: Surroundings;
  /** Versions that its watches told, to begin at. */
  readonly #versions: string[] = [];

  constructor(random: Random, surroundings: Surroundings) {
    this.#random = random;
    this.#surroundings = surroundings;
  }

  /** One watch, until it has told enough, its connection is cut, or the run is over. */
  async step(over: AbortSignal): Promise<void> {
    const server = this.#random.below(this.#surroundings.servers);
    const selection = this.#selection();
    const mode = this.#random.pick(["from", "from", "any", "newest", "list"] as const);
    const version = mode === "from" ? this.#startVersion() : mode === "any" ? "0" : this.#random.pick(["", "0"]);
    const asked = { server, selection, mode: mode === "from" && version === "" ? "newest" : mode, version } as const;
    const timeout_s = this.#random.between(1, longest_s);
    const path = watchPath(selection, asked.mode === "newest" ? "" : version, mode === "list", timeout_s);
    const enough = this.#random.between(1, mostFrames);
    const address = await this.#surroundings.addressOf(server);
    const frames: Frame[] = [];
    const invoked = this.#surroundings.moment();
    const end = new AbortController();
    let refused: number | undefined;
    try {
      const signal = AbortSignal.any([over, end.signal, this.#surroundings.cut]);
      const response = await openStream(address, { method: "GET", path }, signal);
      if (response.status !== 200) refused = response.status;
      else if (response.body)
        for await (const line of readLines(response.body)) {
          frames.push({ ...(JSON.parse(line) as Omit<Frame, "seen">), seen: this.#surroundings.moment() });
          if (frames.length >= enough) break;
        }
    } catch {
      // Cut, as connections are.
    }
    end.abort();
    this.watches.push({ ...asked, version: asked.mode === "newest" ? "" : version, invoked, frames, refused });
    for (const { type, object } of frames)
      if (type !== "ERROR" && object.metadata.resourceVersion) this.#versions.push(object.metadata.resourceVersion);
  }

  #startVersion(): string {
    if (this.#versions.length === 0) return "";
    // Mostly one of the last: older ones may be compacted, which is a case of its own.
    return this.#random.pick(this.#versions.slice(this.#random.once(4) ? 0 : -10));
  }

  #selection(): WatchSelection {
    return {
      plural: this.#random.pick(resources).plural,
      namespace: this.#random.pick([undefined, ...namespaces]),
      group: this.#random.pick([undefined, undefined, "a", "b"]),
      name: this.#random.pick([undefined, undefined, undefined, "p"]),
    };
  }
}

function watchPath(
  { plural, namespace, group, name }: WatchSelection,
  version: string,
  isList: boolean,
  timeout_s: number,
): string {
  const query = new URLSearchParams({
    watch: "true",
    allowWatchBookmarks: "true",
    timeoutSeconds: String(timeout_s),
  });
  if (version !== "") query.set("resourceVersion", version);
  if (isList) {
    query.set("sendInitialEvents", "true");
    query.set("resourceVersionMatch", "NotOlderThan");
  }
  if (group) query.set("labelSelector", `group=${group}`);
  if (name) query.set("fieldSelector", `metadata.name=${name}`);
  return `${collectionPath(plural, namespace)}?${query}`;
}
