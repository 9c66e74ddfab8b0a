/**
 * Serves /openapi/v2, /openapi/v3 and a document per group version below it. Documents are made when they are asked for,
 * and kept compressed in a bounded cache; what is served to kubectl twice is seldom served to anyone again for hours.
 */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { covers, mediaRanges } from "../../http/accept.ts";
import { apiVersionOf } from "../object.ts";
import { type Descriptions, loadDescriptions } from "./descriptions.ts";
import {
  type Frame,
  type GroupVersionName,
  type Member,
  memberText,
  modelMembers,
  pathMembers,
  v2Frame,
  v3Frame,
} from "./documents.ts";
import { documentName, type PublishedResource } from "./published-resource.ts";
import { encodeDefinition, encodeDocument, encodePath } from "./v2-protobuf.ts";

export interface OpenApiRequest {
  /** `/openapi/v2`, `/openapi/v3`, `/openapi/v3/apis/apps/v1`. */
  readonly path: string;
  readonly accept?: string | undefined;
  readonly acceptEncoding?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  /** The query parameter `hash`. */
  readonly hash?: string | undefined;
}

export interface OpenApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

export interface OpenApiSource {
  /** The version of the server, `v1.35.4`. */
  readonly version: string;
  /** All that is served. The same array as long as nothing changed: a new one drops what was made from the old. */
  resources(): readonly PublishedResource[];
  /** Defaults to those of the binary. */
  descriptions?(): Promise<Descriptions>;
}

interface Document {
  readonly etag: string;
  readonly contentType: string;
  readonly compressed: Buffer;
}

const json = "application/json";
const protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const protobufAlias = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const maxCachedBytes = 1024 * 1024;
/** Work between two turns of the event loop. */
const maxTurn_ms = 8;

const compress = promisify(gzip);
const decompress = promisify(gunzip);
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

export class OpenApiPublisher {
  private readonly source: OpenApiSource;
  private snapshot: Snapshot | undefined;

  constructor(source: OpenApiSource) {
    this.source = source;
  }

  /** Answers a GET of one of the paths; undefined for a path that is none of them. */
  async respond(request: OpenApiRequest): Promise<OpenApiResponse | undefined> {
    const snapshot = this.current();
    const path = request.path.replace(/\/$/, "");
    if (path === "/openapi/v2") return this.respondV2(request, snapshot);
    if (path === "/openapi/v3") return send(await snapshot.index(), request);
    const name = path.startsWith("/openapi/v3/") ? path.slice("/openapi/v3/".length) : undefined;
    const group = name === undefined ? undefined : snapshot.groups.get(name);
    if (name === undefined || !group) return undefined;
    if (accepted(request.accept, [json]) === undefined) return notAcceptable;
    if (request.hash !== undefined && request.hash !== group.etag) {
      return { status: 301, headers: { Location: relativeUrl(name, group.etag) } };
    }
    const response = await send(await snapshot.v3(name), request);
    return request.hash === undefined ? response : cacheable(response);
  }

  private async respondV2(request: OpenApiRequest, snapshot: Snapshot): Promise<OpenApiResponse> {
    const type = accepted(request.accept, [json, protobuf, protobufAlias]);
    if (type === undefined) return notAcceptable;
    return send(await (type === json ? snapshot.v2Json() : snapshot.v2Protobuf()), request);
  }

  private current(): Snapshot {
    const resources = this.source.resources();
    if (this.snapshot?.resources !== resources) {
      this.snapshot = new Snapshot(resources, this.source, this.snapshot);
    }
    return this.snapshot;
  }
}

interface Group {
  readonly resources: readonly PublishedResource[];
  readonly etag: string;
}

/** The documents of one state of the served resources. Those of groups that did not change are taken over. */
class Snapshot {
  readonly resources: readonly PublishedResource[];
  readonly groups = new Map<string, Group>();
  private readonly version: string;
  private readonly descriptions: () => Promise<Descriptions>;
  private readonly served: readonly GroupVersionName[];
  private readonly cache: Map<string, Promise<Document>>;
  private readonly sizes = new Map<string, number>();

  constructor(resources: readonly PublishedResource[], source: OpenApiSource, previous: Snapshot | undefined) {
    this.resources = resources;
    this.version = source.version;
    this.descriptions = () => source.descriptions?.() ?? loadDescriptions();
    const byGroup = Map.groupBy(resources, documentName);
    // Custom groups are not named in the models of options, so that installing one leaves all other documents alone.
    this.served = [...byGroup.values()].flatMap(([first]) =>
      first && !first.custom ? [{ group: first.group, version: first.version }] : [],
    );
    const salt = source.version + this.served.map(apiVersionOf).join();
    for (const [name, members] of byGroup)
      this.groups.set(name, { resources: members, etag: digest(salt + JSON.stringify(members)) });
    this.cache = new Map();
    for (const [key, document] of previous?.cache ?? []) {
      if (this.groups.get(key)?.etag === previous?.groups.get(key)?.etag && this.groups.has(key)) {
        this.cache.set(key, document);
        this.sizes.set(key, previous?.sizes.get(key) ?? 0);
      }
    }
  }

  index(): Promise<Document> {
    return this.cached("index", async () => {
      const names = [...this.groups].map(([name, { etag }]) => [name, { serverRelativeURL: relativeUrl(name, etag) }]);
      const text = JSON.stringify({ paths: Object.fromEntries(names) });
      return document(digest(text), json, Buffer.from(text));
    });
  }

  v3(name: string): Promise<Document> {
    return this.cached(name, async () => {
      const group = this.groups.get(name);
      if (!group) throw new RangeError(`no document for ${name}`);
      const paths = pathMembers(group.resources, "v3");
      const models = modelMembers(group.resources, this.served, "v3", await this.descriptions());
      return document(group.etag, json, await renderText(v3Frame(this.version), paths, models));
    });
  }

  v2Json(): Promise<Document> {
    return this.cached("v2", async () => {
      const [paths, models] = await this.v2Members();
      return document(this.v2Etag(), json, await renderText(v2Frame(this.version), paths, models));
    });
  }

  v2Protobuf(): Promise<Document> {
    return this.cached("v2-protobuf", async () => {
      const [paths, models] = await this.v2Members();
      const encoded = encodeDocument(
        this.version,
        await inTurns(paths, encodePath),
        await inTurns(models, encodeDefinition),
      );
      // The type with an @ is asked for, but Go cannot parse it in an answer.
      return document(this.v2Etag(), protobufAlias, encoded);
    });
  }

  private async v2Members(): Promise<[paths: Member[], models: Member[]]> {
    const models = modelMembers(this.resources, this.served, "v2", await this.descriptions());
    return [pathMembers(this.resources, "v2"), models];
  }

  private v2Etag(): string {
    return digest([...this.groups.values()].map(({ etag }) => etag).join());
  }

  /** Makes a document once, also when many ask at once, and forgets the oldest ones beyond the bound. */
  private cached(key: string, make: () => Promise<Document>): Promise<Document> {
    const known = this.cache.get(key);
    this.cache.delete(key);
    const made = known ?? make();
    this.cache.set(key, made);
    if (!known) {
      made.then(
        ({ compressed }) => {
          this.sizes.set(key, compressed.length);
          this.evict();
        },
        // The error goes to whoever asked; the next one tries anew.
        () => this.cache.delete(key),
      );
    }
    return made;
  }

  private evict(): void {
    let total = 0;
    for (const [key] of [...this.cache].reverse()) {
      total += this.sizes.get(key) ?? 0;
      if (total > maxCachedBytes) {
        this.cache.delete(key);
        this.sizes.delete(key);
      }
    }
  }
}

async function document(etag: string, contentType: string, body: Uint8Array): Promise<Document> {
  return { etag, contentType, compressed: await compress(body) };
}

async function renderText(frame: Frame, first: Iterable<Member>, second: Iterable<Member>): Promise<Buffer> {
  const parts = [
    frame.before,
    (await inTurns(first, memberText)).join(","),
    frame.between,
    (await inTurns(second, memberText)).join(","),
    frame.after,
  ];
  return Buffer.from(parts.join(""));
}

/** Renders one after another and lets the event loop turn in between. */
async function inTurns<T>(members: Iterable<Member>, render: (member: Member) => T): Promise<T[]> {
  const rendered: T[] = [];
  let began_ms = performance.now();
  for (const member of members) {
    rendered.push(render(member));
    if (performance.now() - began_ms > maxTurn_ms) {
      await nextTurn();
      began_ms = performance.now();
    }
  }
  return rendered;
}

function digest(text: string): string {
  return createHash("sha512").update(text).digest("hex").toUpperCase();
}

function relativeUrl(name: string, etag: string): string {
  return `/openapi/v3/${name}?hash=${etag}`;
}

const notAcceptable: OpenApiResponse = { status: 406, headers: { Vary: "Accept" } };

/** The first of the offered types in the client's order of preference. */
function accepted(accept: string | undefined, offered: readonly string[]): string | undefined {
  for (const range of mediaRanges(accept || "*/*")) {
    const type = offered.find((each) => covers(range, each));
    if (type !== undefined) return type;
  }
  return undefined;
}

async function send(made: Document, request: OpenApiRequest): Promise<OpenApiResponse> {
  const headers = { Etag: `"${made.etag}"`, "Content-Type": made.contentType, Vary: "Accept, Accept-Encoding" };
  const tags = (request.ifNoneMatch ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (tags.includes(headers.Etag) || tags.includes("*")) return { status: 304, headers };
  if (/\bgzip\b/.test(request.acceptEncoding ?? "")) {
    return { status: 200, headers: { ...headers, "Content-Encoding": "gzip" }, body: made.compressed };
  }
  return { status: 200, headers, body: await decompress(made.compressed) };
}

/** An address with a hash always names the same document. */
function cacheable(response: OpenApiResponse): OpenApiResponse {
  return { ...response, headers: { ...response.headers, "Cache-Control": "public, immutable" } };
}
