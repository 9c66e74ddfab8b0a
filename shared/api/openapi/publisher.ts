/**
 * Serves /openapi/v2, /openapi/v3 and a document per group version and root path below it. Documents are made when they are asked for,
 * and kept compressed in a bounded cache; what is served to kubectl twice is seldom served to anyone again for hours.
 */
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { covers, mediaRanges } from "../../http/accept.ts";
import { type Descriptions, loadDescriptions } from "./descriptions.ts";
import {
  customInfo,
  type Info,
  type Member,
  memberText,
  modelMembers,
  v2PathMembers,
  v2Text,
  v3PathMembers,
  v3Text,
} from "./documents.ts";
import { type PathItem, pathItems } from "./operations.ts";
import { documentName, type PublishedResource } from "./published-resource.ts";
import { resourceListItem, rootItems } from "./root-paths.ts";
import { SharedParameters } from "./shared-parameters.ts";
import * as v2Encoding from "./v2-protobuf.ts";
import * as v3Encoding from "./v3-protobuf.ts";

export interface OpenApiRequest {
  /** `/openapi/v2`, `/openapi/v3`, `/openapi/v3/apis/apps/v1`. */
  readonly path: string;
  readonly accept?: string | undefined;
  readonly acceptEncoding?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  /** The query parameter `hash`. */
  readonly hash?: string | undefined;
  /** Names of documents that others serve: the index has them too. */
  readonly elsewhere?: readonly string[] | undefined;
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
/** The type with an @ is asked for, but Go cannot parse it in an answer. */
const protobufTypes = (version: "v2" | "v3") =>
  ["@", "."].map((separator) => `application/com.github.proto-openapi.spec.${version}${separator}v1.0+protobuf`);
const v2Protobuf = protobufTypes("v2");
const v3Protobuf = protobufTypes("v3");
const maxCachedBytes = 1024 * 1024;
/** Of a cached document's key. */
const protobufSuffix = "+protobuf";
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

  /** Answers a request for one of the paths; undefined for a path that is none of them. */
  async respond(request: OpenApiRequest): Promise<OpenApiResponse | undefined> {
    const snapshot = this.current();
    const { path, hash } = request;
    if (path === "/openapi/v2") return this.respondV2(request, snapshot);
    if (path === "/openapi/v3") {
      if (matches(request.ifNoneMatch, undefined)) return { status: 304, headers: {} };
      // Upstream leaves the type to Go, which takes it for text.
      const headers = { "Content-Type": "text/plain; charset=utf-8" };
      return { status: 200, headers, body: snapshot.index(request.elsewhere ?? []) };
    }
    const name = path.startsWith("/openapi/v3/") ? path.slice("/openapi/v3/".length) : undefined;
    const part = name === undefined ? undefined : snapshot.parts.get(name);
    if (name === undefined || !part) return undefined;
    const type = accepted(request.accept, [json, ...v3Protobuf]);
    if (type === undefined) return { status: 406, headers: { Vary: "Accept" } };
    if (hash && hash !== part.etag) {
      const headers = { Location: relativeUrl(name, part.etag), Etag: `"${part.etag}"`, Vary: "Accept" };
      return { status: 301, headers: { ...headers, "Content-Type": json } };
    }
    const response = await send(await (type === json ? snapshot.v3Json(name) : snapshot.v3Protobuf(name)), request);
    return hash ? cacheable(response) : response;
  }

  private async respondV2(request: OpenApiRequest, snapshot: Snapshot): Promise<OpenApiResponse> {
    const type = accepted(request.accept, [json, ...v2Protobuf]);
    if (type === undefined) return { status: 406, headers: { Vary: vary } };
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

/** What one document of OpenAPI 3 tells of. */
interface Part {
  readonly resources: readonly PublishedResource[];
  items(): readonly PathItem[];
  readonly custom: boolean;
  readonly etag: string;
}

/** The documents of one state of the served resources. Those that did not change are taken over. */
class Snapshot {
  readonly resources: readonly PublishedResource[];
  readonly parts: ReadonlyMap<string, Part>;
  private readonly info: Info;
  private readonly descriptions: () => Promise<Descriptions>;
  private readonly cache: Map<string, Promise<Document>>;
  private readonly sizes = new Map<string, number>();

  constructor(resources: readonly PublishedResource[], source: OpenApiSource, previous: Snapshot | undefined) {
    this.resources = resources;
    this.info = { title: "Kubernetes", version: minorVersion(source.version) };
    this.descriptions = () => source.descriptions?.() ?? loadDescriptions();
    this.parts = partsOf(resources, source.version);
    this.cache = new Map();
    for (const [key, document] of previous?.cache ?? []) {
      const name = key.replace(protobufSuffix, "");
      if (this.parts.get(name)?.etag === previous?.parts.get(name)?.etag && this.parts.has(name)) {
        this.cache.set(key, document);
        this.sizes.set(key, previous?.sizes.get(key) ?? 0);
      }
    }
  }

  /** The documents that there are, by name. */
  index(elsewhere: readonly string[]): Buffer {
    const own = [...this.parts].map(([name, { etag }]): [string, string] => [name, relativeUrl(name, etag)]);
    const others = elsewhere.map((name): [string, string] => [name, `/openapi/v3/${name}`]);
    const urls = others.length === 0 ? own : [...own, ...others].sort(([one], [other]) => (one < other ? -1 : 1));
    const paths = Object.fromEntries(urls.map(([name, serverRelativeURL]) => [name, { serverRelativeURL }]));
    return Buffer.from(JSON.stringify({ paths }));
  }

  v3Json(name: string): Promise<Document> {
    return this.cached(name, async () => {
      const { part, info, paths, models } = await this.v3Members(name);
      const text = v3Text(info, await inTurns(paths, memberText), await inTurns(models, memberText));
      return document(part.etag, json, Buffer.from(text));
    });
  }

  v3Protobuf(name: string): Promise<Document> {
    return this.cached(`${name}${protobufSuffix}`, async () => {
      const { part, info, paths, models } = await this.v3Members(name);
      const encoded = v3Encoding.encodeDocument(
        info,
        await inTurns(paths, v3Encoding.encodePath),
        await inTurns(models, v3Encoding.encodeSchemaMember),
      );
      return document(part.etag, v3Protobuf.at(-1) ?? json, encoded);
    });
  }

  private async v3Members(name: string) {
    const part = this.parts.get(name);
    if (!part) throw new RangeError(`no document for ${name}`);
    const descriptions = await this.descriptions();
    const items = part.items();
    return {
      part,
      info: part.custom ? customInfo : this.info,
      paths: v3PathMembers(items, descriptions),
      models: modelMembers(items, part.resources, { dialect: "v3", custom: part.custom }, descriptions),
    };
  }

  v2Json(): Promise<Document> {
    return this.cached("v2", async () => {
      const { paths, models, shared } = await this.v2Members();
      const pathTexts = await inTurns(paths, memberText);
      const modelTexts = await inTurns(models, memberText);
      const parameters = [...shared.entries()].map(([name, each]) => memberText({ name, render: () => each }));
      return document(this.v2Etag(), json, Buffer.from(v2Text(this.info, pathTexts, modelTexts, parameters)));
    });
  }

  v2Protobuf(): Promise<Document> {
    return this.cached("v2-protobuf", async () => {
      const { paths, models, shared } = await this.v2Members();
      const encoded = v2Encoding.encodeDocument(
        this.info,
        await inTurns(paths, v2Encoding.encodePath),
        await inTurns(models, v2Encoding.encodeDefinition),
        [...shared.entries()].map(v2Encoding.encodeParameter),
      );
      return document(this.v2Etag(), v2Protobuf.at(-1) ?? json, encoded);
    });
  }

  private async v2Members() {
    const descriptions = await this.descriptions();
    const items = [...this.parts.values()].flatMap((part) => part.items());
    const shared = new SharedParameters();
    return {
      paths: v2PathMembers(items, descriptions, shared),
      models: modelMembers(items, this.resources, { dialect: "v2", custom: false }, descriptions),
      shared,
    };
  }

  private v2Etag(): string {
    return digest([...this.parts.values()].map(({ etag }) => etag).join());
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

function partsOf(resources: readonly PublishedResource[], version: string): Map<string, Part> {
  const byDocument = Map.groupBy(resources, documentName);
  const parts = [...byDocument].map(([name, members]): [string, Part] => {
    // Upstream publishes no list of a custom group's resources, nor the group.
    const custom = members.some((each) => each.custom);
    const lists = () => members.slice(0, custom ? 0 : 1).map(resourceListItem);
    const items = () => [...lists(), ...members.flatMap(pathItems)];
    return [name, { resources: members, items, custom, etag: digest(version + JSON.stringify(members)) }];
  });
  const groups = new Set(resources.filter(({ custom }) => !custom).map(({ group }) => group));
  const roots = [...rootItems(groups)].map(([name, item]): [string, Part] => [
    name,
    { resources: [], items: () => [item], custom: false, etag: digest(version + name) },
  ]);
  return new Map([...parts, ...roots].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** `1.35` of `v1.35.4`. */
function minorVersion(version: string): string {
  return version.replace(/^v/, "").split(".").slice(0, 2).join(".");
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

const vary = "Accept-Encoding, Accept";

/** The first of the offered types in the client's order of preference. */
function accepted(accept: string | undefined, offered: readonly string[]): string | undefined {
  for (const range of mediaRanges(accept || "*/*")) {
    const type = offered.find((each) => covers(range, each));
    if (type !== undefined) return type;
  }
  return undefined;
}

/** Whether If-None-Match names what there is. */
function matches(ifNoneMatch: string | undefined, etag: string | undefined): boolean {
  const tags = (ifNoneMatch ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes("*") || (etag !== undefined && tags.includes(etag));
}

async function send(made: Document, request: OpenApiRequest): Promise<OpenApiResponse> {
  const unchanged = { Etag: `"${made.etag}"`, Vary: vary };
  if (matches(request.ifNoneMatch, unchanged.Etag)) return { status: 304, headers: unchanged };
  const headers = { ...unchanged, "Content-Type": made.contentType };
  if (/\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(request.acceptEncoding ?? "")) {
    return { status: 200, headers: { ...headers, "Content-Encoding": "gzip" }, body: made.compressed };
  }
  return { status: 200, headers, body: await decompress(made.compressed) };
}

const year_ms = 365 * 24 * 3600 * 1000;

/** An address with a hash always names the same document. */
function cacheable(response: OpenApiResponse): OpenApiResponse {
  const expires = new Date(Date.now() + year_ms).toUTCString().replace("GMT", "UTC");
  return { ...response, headers: { ...response.headers, "Cache-Control": "public, immutable", Expires: expires } };
}
