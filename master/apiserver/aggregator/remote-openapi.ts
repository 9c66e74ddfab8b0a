/**
 * OpenAPI documents of aggregated API servers. A server is asked for them when a client asks for what they go into, at most once
 * a minute; what it said is kept compressed, and holds while the server does not answer.
 */
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { convertedDocument, encodedConverted } from "#shared/api/openapi/converted-document.ts";
import {
  contentOf,
  type Document,
  digest,
  document,
  json,
  relativeUrl,
  sendVersioned,
  v3Protobuf,
} from "#shared/api/openapi/document-answer.ts";
import { type ForeignDocument, foreignDocument, withPaths } from "#shared/api/openapi/foreign-document.ts";
import { documentName } from "#shared/api/openapi/published-resource.ts";
import type { OtherDocument, OtherServers } from "#shared/api/openapi/publisher.ts";
import { isJsonObject } from "#shared/api/patch/json-value.ts";
import type { APIService } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import type { StreamResponse } from "#shared/http/http-over-stream.ts";
import { openApiAnswer, openApiRequest } from "../openapi-answer.ts";
import type { User } from "../request.ts";
import type { PathHandler } from "../server-parts.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { passOn, unavailable } from "./pass-on.ts";
import { bytesOf, headerOf } from "./remote-answer.ts";
import { discoveryDeadline, endpointOf, type RemoteParts } from "./remote-service.ts";

const openApiUser: User = { name: "system:aggregator", groups: [] };

/** What a server publishes in OpenAPI 2 of its own group version, as JSON in gzip. */
interface Published {
  readonly etag: string;
  readonly compressed: Buffer;
}

/** Where a server has its documents of OpenAPI 3, or the one made of what it publishes in OpenAPI 2. */
type Versioned =
  | { readonly kind: "own"; readonly urls: ReadonlyMap<string, string> }
  | { readonly kind: "converted"; readonly remoteTag: string; readonly document: Document };

const compress = promisify(gzip);
const decompress = promisify(gunzip);

export class RemoteOpenApi implements OtherServers {
  readonly #parts: RemoteParts;
  readonly #remotes: () => readonly APIService[];
  readonly #published: KeptAnswers<Published>;
  readonly #versioned: KeptAnswers<Versioned>;

  /** `remotes` are the APIServices that another server stands behind. */
  constructor(parts: RemoteParts, remotes: () => readonly APIService[], log: Log) {
    this.#parts = parts;
    this.#remotes = remotes;
    const failed = (name: string, error: unknown): void =>
      log.info("the OpenAPI documents of an aggregated server could not be read", { name, error });
    this.#published = new KeptAnswers((service, before) => this.#askPublished(service, before), failed);
    this.#versioned = new KeptAnswers((service, before) => this.#askVersioned(service, before), failed);
  }

  async documents(): Promise<readonly OtherDocument[]> {
    const answers = await this.#published.all(inOrderOfPreference(this.#remotes()));
    return answers.map(([{ metadata }, { etag, compressed }]) => ({
      etag: `${metadata.name} ${etag}`,
      read: async () => JSON.parse((await decompress(compressed)).toString()) as ForeignDocument,
    }));
  }

  async documentUrls(): Promise<ReadonlyMap<string, string>> {
    const answers = await this.#versioned.all(this.#remotes());
    return new Map(
      answers.flatMap(([service, answer]) =>
        answer.kind === "own"
          ? [...answer.urls]
          : [[nameOf(service), relativeUrl(nameOf(service), answer.document.etag)] as const],
      ),
    );
  }

  /** Answers for the document of that name. undefined: no server has one. */
  async handlerFor(name: string): Promise<PathHandler | undefined> {
    for (const [service, answer] of await this.#versioned.all(this.#remotes())) {
      if (answer.kind === "converted" && name === nameOf(service)) return sending(name, answer.document);
      if (answer.kind !== "own" || !answer.urls.has(name)) continue;
      return (context, exchange) => {
        if (!isAvailable(service)) throw unavailable();
        return passOn(this.#parts, service, context, exchange);
      };
    }
    return undefined;
  }

  async #askPublished(service: APIService, before: Published | undefined): Promise<Published> {
    const fetched = await this.#document(service, before?.etag);
    if (!fetched) return before as Published;
    const { etag, content } = fetched;
    const { group, version } = service.spec;
    const own = withPaths(content, (path) => path.startsWith(`/apis/${group}/${version}/`));
    return { etag, compressed: await compress(JSON.stringify(own)) };
  }

  async #askVersioned(service: APIService, before: Versioned | undefined): Promise<Versioned> {
    const index = await this.#get(service, "/openapi/v3");
    if (index.status !== 404) return { kind: "own", urls: urlsOf(JSON.parse((await bodyOf(index)).toString())) };
    index.body.destroy();
    const fetched = await this.#document(service, before?.kind === "converted" ? before.remoteTag : undefined);
    if (!fetched) return before as Versioned;
    const { etag, content } = fetched;
    const text = JSON.stringify(convertedDocument(content));
    return { kind: "converted", remoteTag: etag, document: await document(digest(text), json, Buffer.from(text)) };
  }

  /** The server's whole document of OpenAPI 2. undefined: it is still the one of that tag. */
  async #document(service: APIService, etag: string | undefined): Promise<Fetched | undefined> {
    const known = etag && !etag.startsWith(ownTag) ? ["If-None-Match", etag] : [];
    const answer = await this.#get(service, "/openapi/v2", "Accept", json, ...known);
    if (answer.status === 304 && etag) {
      answer.body.destroy();
      return undefined;
    }
    const bytes = await bodyOf(answer);
    const tag = headerOf(answer, "etag") || ownTag + digest(bytes);
    if (tag === etag) return undefined;
    return { etag: tag, content: foreignDocument(JSON.parse(bytes.toString())) };
  }

  #get(service: APIService, path: string, ...headers: string[]): Promise<StreamResponse> {
    if (!isAvailable(service)) throw unavailable();
    const signal = discoveryDeadline(this.#parts);
    return endpointOf(this.#parts, service).request(openApiUser, { method: "GET", path, headers }, { signal });
  }
}

const sending =
  (name: string, made: Document): PathHandler =>
  async (context) =>
    openApiAnswer(
      await sendVersioned(openApiRequest(context), name, made.etag, v3Protobuf, async (type) => {
        if (type === json) return made;
        return document(made.etag, v3Protobuf.at(-1) ?? json, encodedConverted(await contentOf(made)));
      }),
    );

interface Fetched {
  readonly etag: string;
  readonly content: ReturnType<typeof foreignDocument>;
}

/** Begins a tag that was made here, for a server that gives none. */
const ownTag = "made here: ";

async function bodyOf(answer: StreamResponse): Promise<Buffer> {
  if (answer.status === 200) return bytesOf(answer);
  answer.body.destroy();
  throw new Error(`the server answered ${answer.status}`);
}

function urlsOf(index: unknown): Map<string, string> {
  const paths = isJsonObject(index) && isJsonObject(index["paths"]) ? index["paths"] : {};
  return new Map(
    Object.entries(paths).map(([name, entry]) => {
      const url = isJsonObject(entry) ? entry["serverRelativeURL"] : undefined;
      return [name, typeof url === "string" ? url : ""];
    }),
  );
}

const nameOf = ({ spec }: APIService): string => documentName({ group: spec.group ?? "", version: spec.version ?? "" });

const isAvailable = ({ status }: APIService): boolean =>
  status?.conditions?.some((each) => each.type === "Available" && each.status === "True") ?? false;

/** Groups by the highest priority that one of their versions has, versions of a group by name: as upstream sorts them. */
function inOrderOfPreference(services: readonly APIService[]): readonly APIService[] {
  const priorities = new Map<string, number>();
  for (const { spec } of services) {
    const group = spec.group ?? "";
    priorities.set(group, Math.max(priorities.get(group) ?? 0, spec.groupPriorityMinimum));
  }
  const priorityOf = ({ spec }: APIService): number => priorities.get(spec.group ?? "") ?? 0;
  return services.toSorted(
    (one, other) =>
      priorityOf(other) - priorityOf(one) || ((one.metadata.name ?? "") < (other.metadata.name ?? "") ? -1 : 1),
  );
}
