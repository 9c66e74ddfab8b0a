/** /api, /apis and what lies below down to a group version, and /version. */

import { createHash } from "node:crypto";
import { trimEnd } from "#shared/api/trim-end.ts";
import { versionInfo } from "#shared/version-info.ts";
import {
  jsonInLines,
  type Media,
  negotiate,
  negotiateAggregated,
  requireMedia,
  requireOnly,
} from "../http/negotiate.ts";
import { contentTypes, valueText } from "../http/render.ts";
import { valueResponse } from "../registry/answer.ts";
import { isReplaceable } from "../registry/declaration.ts";
import { notServed } from "../registry/request-target.ts";
import type { ResourceTable } from "../registry/resource-table.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import { apiResources, type DiscoveredGroup, groupDiscovery, groupsOf, withRemote } from "./group-resources.ts";
import type { RemoteVersions } from "./remote-version.ts";

export class DiscoveryPaths {
  readonly #table: ResourceTable;
  #groups: { readonly generation: number; readonly list: DiscoveredGroup[] } | undefined;
  remoteVersions: RemoteVersions = () => [];
  /** `host:port` at which clients reach this server. */
  serverAddress: (() => string) | undefined;

  constructor(table: ResourceTable) {
    this.#table = table;
  }

  #own(): DiscoveredGroup[] {
    const { generation } = this.#table;
    if (this.#groups?.generation !== generation) {
      this.#groups = { generation, list: groupsOf(this.#table.all()) };
    }
    return this.#groups.list;
  }

  #ownVersion(group: string, version: string): DiscoveredGroup["versions"][number] | undefined {
    const versions = this.#own().find((each) => each.group === group)?.versions;
    return versions?.find((each) => each.version === version);
  }

  #all(): readonly DiscoveredGroup[] {
    return withRemote(this.#own(), this.remoteVersions());
  }

  /** Whether a group is one of this server's own, whose paths its router knows. */
  hasGroup(name: string): boolean {
    return this.#own().some(({ group, versions }) => group === name && versions.some(isBuiltIn));
  }

  /** Whether a path is that of a version of this server's own in whose place another server may be put. */
  isReplaceable(path: string): boolean {
    const [first, group = "", version = "", ...more] = partsOf(path);
    if (first !== "apis" || more.length > 0) return false;
    const { resources = [] } = this.#ownVersion(group, version) ?? {};
    return resources.some(({ declaration }) => isReplaceable(declaration));
  }

  /** Of each document of groups and their versions. */
  paths(): string[] {
    const groups = this.#all().flatMap(({ group, versions }) => {
      const root = group === "" ? "/api" : `/apis/${group}`;
      return [root, ...versions.map(({ version }) => `${root}/${version}`)];
    });
    return ["/apis", "/apis/", ...groups, "/version"];
  }

  /** undefined: not a path of discovery, or nothing is served there. */
  handle(context: RequestContext): ApiResponse | undefined {
    const { method, headers, info } = context;
    const [first = "", ...rest] = partsOf(info.path);
    const slashes = /\/*$/.exec(info.path)?.[0].length ?? 0;
    if (first === "version" && rest.length === 0) return versionOf(context);
    if ((first !== "api" && first !== "apis") || rest.includes("")) return undefined;
    if (first === "apis" && rest.length === 0 && slashes > 1) return undefined;
    const found = this.#found(context, first, rest);
    if (!found) return undefined;
    // Upstream has no router where all groups are listed, nor before one group or custom kinds.
    const [group = "", version] = rest;
    const isRouted =
      first === "api" || (group !== "" && this.hasGroup(group) && (version !== undefined || slashes > 1));
    if (method !== "GET" && isRouted) throw notServed();
    const accept = headers["accept"];
    if (isRouted) requireMedia(accept);
    return found.kind === "object" ? { ...found, accepted: negotiate(accept) } : found;
  }

  #found(context: RequestContext, first: "api" | "apis", rest: readonly string[]): ApiResponse | undefined {
    if (rest.length === 0) return this.#root(context, first);
    if (first === "api") return rest.length === 1 ? this.#groupVersion("", rest[0] ?? "") : undefined;
    if (rest.length === 1) return this.#group(rest[0] ?? "");
    return rest.length === 2 ? this.#groupVersion(rest[0] ?? "", rest[1] ?? "") : undefined;
  }

  #root(context: RequestContext, first: "api" | "apis"): ApiResponse {
    const media = negotiateAggregated(context.headers["accept"]);
    const all = first === "api" ? this.#own() : this.#all();
    const groups = all.filter(({ group }) => (first === "api") === (group === ""));
    if (media) return aggregated(context, groups, media);
    if (first === "api") {
      return valueResponse({
        kind: "APIVersions",
        versions: groups.flatMap(({ versions }) => versions.map((each) => each.version)),
        serverAddressByClientCIDRs: this.serverAddress
          ? [{ clientCIDR: "0.0.0.0/0", serverAddress: this.serverAddress() }]
          : [],
      });
    }
    return valueResponse({ kind: "APIGroupList", apiVersion: "v1", groups: groups.map(apiGroup) });
  }

  #group(name: string): ApiResponse | undefined {
    const group = this.#all().find((each) => each.group === name);
    if (!group) return undefined;
    return valueResponse({ kind: "APIGroup", apiVersion: "v1", ...apiGroup(group) });
  }

  #groupVersion(group: string, version: string): ApiResponse | undefined {
    const found = this.#ownVersion(group, version);
    if (!found) return undefined;
    return valueResponse({
      kind: "APIResourceList",
      ...(group === "" ? {} : { apiVersion: "v1" }),
      groupVersion: group === "" ? version : `${group}/${version}`,
      resources: apiResources(found.resources),
    });
  }
}

/** The parts of a path; slashes at its end count for nothing. */
const partsOf = (path: string): string[] => trimEnd(path.slice(1), "/").split("/");

const isBuiltIn = ({ resources }: DiscoveredGroup["versions"][number]): boolean =>
  resources.some(({ declaration }) => !declaration.custom);

function apiGroup({ group: name, versions }: DiscoveredGroup): object {
  const named = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: named, preferredVersion: named[0] };
}

function aggregated(context: RequestContext, groups: readonly DiscoveredGroup[], media: Media): ApiResponse {
  const list = {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map(groupDiscovery),
  };
  const body = valueText(list, { accepted: { media, pretty: false, as: undefined }, pretty: false });
  const etag = `"${createHash("sha256").update(body).digest("hex").toUpperCase()}"`;
  const contentType = `${contentTypes[media]};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList`;
  const headers = { etag, vary: "Accept", "cache-control": "public" };
  if (context.headers["if-none-match"] === etag) return { kind: "bytes", code: 304, contentType, headers, body: "" };
  return { kind: "bytes", code: 200, contentType, headers, body };
}

function versionOf({ method, headers }: RequestContext): ApiResponse {
  if (method !== "GET") throw notServed();
  requireOnly(headers["accept"]);
  return valueResponse(versionInfo(), 200, jsonInLines);
}
