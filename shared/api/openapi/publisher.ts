/**
 * Serves /openapi/v2, /openapi/v3 and a document per group version and root path below it. Documents are made when they are asked for,
 * and kept compressed in a bounded cache; what is served to kubectl twice is seldom served to anyone again for hours.
 */

import { type ContentResponse, serveContent } from "../../http/serve-content.ts";
import { nextTurn } from "../../process/turn.ts";
import { type Descriptions, loadDescriptions } from "./descriptions.ts";
import {
  type AskedDocument,
  accepted,
  type Document,
  digest,
  document,
  json,
  relativeUrl,
  sendDocument,
  sendVersioned,
  v2Protobuf,
  v3Protobuf,
  vary,
} from "./document-answer.ts";
import {
  customInfo,
  type Info,
  type Member,
  memberText,
  modelMembers,
  namesBesideBuiltIn,
  v2PathMembers,
  v2Text,
  v3PathMembers,
  v3Text,
  withNames,
} from "./documents.ts";
import type { ForeignDocument } from "./foreign-document.ts";
import { type MergedMembers, mergedMembers } from "./merged-documents.ts";
import type { PathItem } from "./operation.ts";
import { pathItems } from "./operations.ts";
import { documentName, type PublishedResource } from "./published-resource.ts";
import { resourceListItem, rootItems } from "./root-paths.ts";
import { SharedParameters } from "./shared-parameters.ts";
import * as v2Encoding from "./v2-protobuf.ts";
import * as v3Encoding from "./v3-protobuf.ts";

export interface OpenApiRequest extends AskedDocument {
  /** `/openapi/v2`, `/openapi/v3`, `/openapi/v3/apis/apps/v1`. */
  readonly path: string;
  /** Asked where the answer tells of other servers too. */
  readonly elsewhere?: OtherServers | undefined;
}

/** What other API servers publish. */
export interface OtherServers {
  /** Where documents of OpenAPI 3 are, by name. */
  documentUrls(): Promise<ReadonlyMap<string, string>>;
  /** Documents of OpenAPI 2, what wins over others first. */
  documents(): Promise<readonly OtherDocument[]>;
}

export interface OtherDocument {
  readonly etag: string;
  read(): Promise<ForeignDocument>;
}

export interface OpenApiSource {
  /** The version of the server, `v1.35.4`. */
  readonly version: string;
  /** All that is served. The same array as long as nothing changed: a new one drops what was made from the old. */
  resources(): readonly PublishedResource[];
  /** Defaults to those of the binary. */
  descriptions?(): Promise<Descriptions>;
}

const maxCachedBytes = 1024 * 1024;
/** Of a cached document's key. */
const protobufSuffix = "+protobuf";
const v2Key = (etag: string): string => `v2 ${etag}`;
/** Work between two turns of the event loop. */
const maxTurn_ms = 8;

export class OpenApiPublisher {
  private readonly source: OpenApiSource;
  private snapshot: Snapshot | undefined;

  constructor(source: OpenApiSource) {
    this.source = source;
  }

  /** Answers a request for one of the paths; undefined for a path that is none of them. */
  async respond(request: OpenApiRequest): Promise<ContentResponse | undefined> {
    const snapshot = this.current();
    const { path, elsewhere } = request;
    if (path === "/openapi/v2") return respondV2(request, snapshot, (await elsewhere?.documents()) ?? []);
    if (path === "/openapi/v3") {
      const body = snapshot.index(await elsewhere?.documentUrls());
      const now_ms = Date.now();
      return serveContent(request, {
        headers: {},
        // Upstream leaves the type to Go, which takes it for text.
        guessedType: "text/plain; charset=utf-8",
        modified_ms: now_ms,
        // Who asks again within a second with what it was told is not to miss what has come since: dates have no smaller parts.
        told_ms: now_ms - 1000,
        whole: async () => ({ headers: {}, body }),
        bytes: async () => body,
      });
    }
    const name = path.startsWith("/openapi/v3/") ? path.slice("/openapi/v3/".length) : undefined;
    const part = name === undefined ? undefined : snapshot.parts.get(name);
    if (name === undefined || !part) return undefined;
    return sendVersioned(request, name, part.etag, v3Protobuf, (type) =>
      type === json ? snapshot.v3Json(name) : snapshot.v3Protobuf(name),
    );
  }

  private current(): Snapshot {
    const resources = this.source.resources();
    if (this.snapshot?.resources !== resources) {
      this.snapshot = new Snapshot(resources, this.source, this.snapshot);
    }
    return this.snapshot;
  }
}

async function respondV2(
  request: OpenApiRequest,
  snapshot: Snapshot,
  others: readonly OtherDocument[],
): Promise<ContentResponse> {
  const type = accepted(request, [json, ...v2Protobuf]);
  if (type === undefined) return { status: 406, headers: { Vary: vary } };
  return sendDocument(await (type === json ? snapshot.v2Json(others) : snapshot.v2Protobuf(others)), request);
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
  index(elsewhere: ReadonlyMap<string, string> = new Map()): Buffer {
    const own = [...this.parts].map(([name, { etag }]): [string, string] => [name, relativeUrl(name, etag)]);
    const others = [...elsewhere].filter(([name]) => !this.parts.has(name));
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

  v2Json(others: readonly OtherDocument[]): Promise<Document> {
    const etag = this.v2Etag(others);
    return this.cached(v2Key(etag), async () => {
      const own = await this.v2Members();
      const pathTexts = await inTurns(own.paths, memberText);
      const { paths, models, parameters } = await withOthers(own, others);
      const otherTexts = await inTurns(paths, memberText);
      const modelTexts = await inTurns(models, memberText);
      const text = v2Text(this.info, [...pathTexts, ...otherTexts], modelTexts, parameters.map(memberText));
      return document(etag, json, Buffer.from(text));
    });
  }

  v2Protobuf(others: readonly OtherDocument[]): Promise<Document> {
    const etag = this.v2Etag(others);
    return this.cached(`${v2Key(etag)}${protobufSuffix}`, async () => {
      const own = await this.v2Members();
      const pathEntries = await inTurns(own.paths, v2Encoding.encodePath);
      const { paths, models, parameters } = await withOthers(own, others);
      const encoded = v2Encoding.encodeDocument(
        this.info,
        [...pathEntries, ...(await inTurns(paths, v2Encoding.encodePath))],
        await inTurns(models, v2Encoding.encodeDefinition),
        parameters.map(v2Encoding.encodeParameter),
      );
      return document(etag, v2Protobuf.at(-1) ?? json, encoded);
    });
  }

  async v2Members() {
    const descriptions = await this.descriptions();
    const parts = [...this.parts.values()].map((part) => ({ custom: part.custom, items: part.items() }));
    const builtIn = parts.filter(({ custom }) => !custom).flatMap((part) => part.items);
    const names = namesBesideBuiltIn(builtIn, this.resources);
    const items = parts.flatMap((part) => (part.custom ? withNames(part.items, names) : part.items));
    const shared = new SharedParameters();
    return {
      paths: v2PathMembers(items, descriptions, shared),
      models: modelMembers(items, this.resources, { dialect: "v2", custom: false }, descriptions, names),
      shared,
    };
  }

  /** Of the document that tells of these others; what was made with others than these is forgotten. */
  private v2Etag(others: readonly OtherDocument[]): string {
    const etag = digest([...this.parts.values(), ...others].map((each) => each.etag).join());
    const key = v2Key(etag);
    for (const each of this.cache.keys()) {
      if (each.startsWith(v2Key("")) && each.replace(protobufSuffix, "") !== key) this.cache.delete(each);
    }
    return etag;
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

/** Once the paths are rendered: what they share is known by then. */
async function withOthers(
  { paths, models, shared }: Awaited<ReturnType<Snapshot["v2Members"]>>,
  others: readonly OtherDocument[],
): Promise<MergedMembers> {
  const parameters = [...shared.entries()];
  if (others.length === 0) {
    return { paths: [], models, parameters: parameters.map(([name, each]) => ({ name, render: () => each })) };
  }
  const documents = await Promise.all(others.map((each) => each.read()));
  return mergedMembers({ paths: paths.map(({ name }) => name), models, parameters }, documents);
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
