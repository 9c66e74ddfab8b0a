/** A client that does what its seed says at whichever server it says, and writes down what it asked and was told. */
import type { KubeObject } from "#shared/api/object.ts";
import type { Random } from "../fuzz/random.ts";
import type { Answer, Call } from "./history.ts";
import { nextOperation, type Operation, type Target } from "./operations.ts";
import { type PlannedRequest, requestOf } from "./requests.ts";
import { type Address, callServer } from "./server-call.ts";

/** What clients share: the servers, the order of moments, and cuts of all connections. */
export interface Surroundings {
  readonly servers: number;
  /** Resolves once the server can be asked; after a kill that is when it is up again. */
  addressOf(server: number): Promise<Address>;
  /** The number of this moment. */
  moment(): number;
  /** Aborted when connections are cut next. */
  readonly cut: AbortSignal;
}

interface ListBody {
  readonly items: readonly KubeObject[] | null;
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
}

export class HistoryClient {
  readonly calls: Call[] = [];
  readonly #seen = new Map<string, KubeObject>();
  readonly #number: number;
  readonly #random: Random;
  readonly #surroundings: Surroundings;
  #newest = "";

  constructor(number: number, random: Random, surroundings: Surroundings) {
    this.#number = number;
    this.#random = random;
    this.#surroundings = surroundings;
  }

  /** One operation, with all chunks where it is a list in chunks. */
  async step(): Promise<void> {
    const operation = nextOperation(this.#random);
    const server = this.#random.below(this.#surroundings.servers);
    const request = requestOf(operation, {
      seen: "target" in operation ? this.#seen.get(keyOf(operation.target)) : undefined,
      newest: this.#newest,
      manager: `m${this.#number}`,
      tag: this.#nextTag,
    });
    if (!request) return this.#look(operation, server);
    if (operation.verb === "list") await this.#listAll(operation, server, request);
    else this.#learn(operation, await this.#call(operation, server, request));
  }

  /** What an operation needs to have seen is looked at instead. */
  async #look(operation: Operation, server: number): Promise<void> {
    if (!("target" in operation)) return;
    const get = { verb: "get", target: operation.target, at: "newest" } as const;
    const request = requestOf(get, { seen: undefined, newest: "", manager: "", tag: "" });
    if (request) this.#learn(get, await this.#call(get, server, request));
  }

  get #nextTag(): string {
    return `c${this.#number}-${this.calls.length}`;
  }

  async #call(operation: Operation, server: number, request: PlannedRequest): Promise<Answer> {
    const address = await this.#surroundings.addressOf(server);
    const tag = this.#nextTag;
    const invoked = this.#surroundings.moment();
    const answer = await callServer(address, request, this.#surroundings.cut);
    const answered = this.#surroundings.moment();
    const { version, uid } = request;
    this.calls.push({ tag, server, operation, version, uid, invoked, answered, answer });
    return answer;
  }

  /** Its chunks count as one answer, which begins with the first and ends with the last. */
  async #listAll(
    operation: Extract<Operation, { verb: "list" }>,
    server: number,
    request: PlannedRequest,
  ): Promise<void> {
    const first = await this.#call(operation, server, request);
    let page = listBody(first);
    const items = [...(page?.items ?? [])];
    let next = page?.metadata.continue;
    for (; next; next = page?.metadata.continue) {
      const { path } = requestOf(
        { ...operation, at: "newest" },
        { seen: undefined, newest: "", manager: "", tag: "" },
      ) ?? {
        path: "",
      };
      // A list goes on at any server of the same store.
      const address = await this.#surroundings.addressOf(this.#random.below(this.#surroundings.servers));
      const more = { method: "GET", path: `${path}&continue=${encodeURIComponent(next)}` } as const;
      const version = page?.metadata.resourceVersion;
      page = listBody(await callServer(address, more, this.#surroundings.cut));
      // Its version was compacted, or the connection was cut: the chunk so far says nothing.
      if (!page || page.metadata.resourceVersion !== version) return this.#forgetLast(page, version);
      items.push(...(page.items ?? []));
    }
    if (page) this.#keepWhole(items, page);
  }

  #keepWhole(items: readonly KubeObject[], { metadata }: ListBody): void {
    const last = this.calls.pop();
    if (!last) return;
    const body = { items, metadata };
    // Its answer was given with the first chunk: the version cannot be younger than that.
    this.calls.push({ ...last, answer: { kind: "answered", code: 200, body } });
    this.#newest = metadata.resourceVersion ?? this.#newest;
  }

  #forgetLast(page: ListBody | undefined, version: string | undefined): void {
    const last = this.calls.pop();
    if (!last) return;
    const answer: Answer = page
      ? {
          kind: "answered",
          code: 0,
          body: { message: `a list at ${version} went on at ${page.metadata.resourceVersion}` },
        }
      : { kind: "lost" };
    this.calls.push({ ...last, answer });
  }

  #learn(operation: Operation, answer: Answer): void {
    if (answer.kind === "lost" || answer.code >= 300 || !("target" in operation)) return;
    const body = answer.body as Partial<KubeObject>;
    const version = body.metadata?.resourceVersion;
    if (version === undefined || body.metadata?.name === undefined) return;
    this.#newest = version;
    this.#seen.set(keyOf({ ...operation.target, name: body.metadata.name }), body as KubeObject);
  }
}

function listBody(answer: Answer): ListBody | undefined {
  return answer.kind === "answered" && answer.code === 200 ? (answer.body as ListBody) : undefined;
}

const keyOf = ({ plural, namespace, name }: Target): string => `${plural}/${namespace}/${name}`;
