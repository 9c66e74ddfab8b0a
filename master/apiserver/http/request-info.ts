/** What a path and method mean (the API conventions; upstream's RequestInfoFactory). Pure. */
import { StatusError } from "#shared/api/errors.ts";
import { parseFieldSelector } from "#shared/api/selector/field-selector.ts";
import { byteText } from "#shared/api/selector/go-quote.ts";
import { isTrue } from "#shared/http/query-flag.ts";
import type { RequestInfo } from "../request.ts";
import { isPathSegment } from "../resources/validation/names.ts";

const verbs: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};

/** Below a Namespace these are its own, not resources in it. */
const namespaceSubresources = ["status", "finalize"];

/** `url` is the path as it was sent. Throws where what looks like an escape is none, as no server takes such a request. */
export function requestInfoOf(method: string, url: string, query: URLSearchParams): RequestInfo {
  const path = decoded(url);
  const parts = withoutOuterSlashes(path).split("/");
  const [apiPrefix = ""] = parts;
  const nonResource = { ...none, path, rawPath: url, verb: method.toLowerCase() };
  if (apiPrefix !== "api" && apiPrefix !== "apis") return nonResource;
  const grouped = apiPrefix === "apis";
  if (parts.length < (grouped ? 4 : 3)) return nonResource;
  const group = grouped ? (parts[1] ?? "") : "";
  const version = parts[grouped ? 2 : 1] ?? "";
  let rest = parts.slice(grouped ? 3 : 2);
  let verb = verbs[method] ?? "";
  // The old ways to watch and to reach behind an object: /api/v1/watch/pods. Nothing is served by the second.
  if ((rest[0] === "watch" || rest[0] === "proxy") && rest.length > 1) {
    verb = rest[0];
    rest = rest.slice(1);
  }
  const namespace = rest[0] === "namespaces" ? rest[1] || undefined : undefined;
  const isWithin = rest[0] === "namespaces" && rest.length > 2 && !namespaceSubresources.includes(rest[2] ?? "");
  const lacksNamespace = isWithin && rest[1] === "";
  if (isWithin) rest = rest.slice(2);
  const [resource = "", name, subresource] = rest;
  const info = {
    isResourceRequest: true,
    path,
    rawPath: url,
    apiPrefix,
    group,
    version,
    namespace,
    ...(lacksNamespace && { lacksNamespace: true as const }),
    resource,
    rest: rest.slice(3),
  };
  // It has no subresources of its own.
  if (verb === "proxy") return { ...info, verb, name: name || undefined, subresource: undefined };
  return { ...info, ...target(verb, name || undefined, subresource, query) };
}

/** No pattern: one for the last slashes would begin anew at each that stands in a row within. */
function withoutOuterSlashes(path: string): string {
  let [begin, end] = [0, path.length];
  while (path[begin] === "/") begin += 1;
  while (end > begin && path[end - 1] === "/") end -= 1;
  return path.slice(begin, end);
}

function target(
  verb: string,
  name: string | undefined,
  subresource: string | undefined,
  query: URLSearchParams,
): Pick<RequestInfo, "verb" | "name" | "subresource"> {
  if (name !== undefined) return { verb, name, subresource };
  if (verb === "delete") return { verb: "deletecollection", name, subresource };
  if (verb !== "get" && verb !== "watch") return { verb, name, subresource };
  const watches = verb === "watch" || isTrue(query.get("watch") ?? "false");
  return { verb: watches ? "watch" : "list", name: selectedName(query.get("fieldSelector") ?? ""), subresource };
}

/** One object that a field selector pins is authorised as that object: so it is read by the parser that selects, since a value may
 *  hold commas behind backslashes. A selector that does not parse names nobody; the request is refused for it later. */
function selectedName(fieldSelector: string): string | undefined {
  if (!fieldSelector.includes("metadata.name")) return undefined;
  try {
    const name = parseFieldSelector(fieldSelector).exactValue("metadata.name");
    return name && isPathSegment(name).length === 0 ? name : undefined;
  } catch (error) {
    if (error instanceof StatusError) return undefined;
    throw error;
  }
}

const none = {
  isResourceRequest: false,
  apiPrefix: "",
  group: "",
  version: "",
  namespace: undefined,
  resource: "",
  subresource: undefined,
  name: undefined,
  rest: [],
} as const;

function decoded(path: string): string {
  if (!path.includes("%")) return path;
  try {
    return decodeURIComponent(path);
  } catch (cause) {
    if (/%(?![\da-f]{2})/i.test(path))
      throw new StatusError("BadRequest", "400 Bad Request", { plainText: "400 Bad Request", cause });
    return path.replace(/(?:%[\da-f]{2})+/gi, decodedBytes);
  }
}

/** Go's strings are bytes, so upstream looks for what is named by bytes that are no text, and finds nothing. */
const decodedBytes = (escapes: string): string =>
  Buffer.from(escapes.replaceAll("%", ""), "hex")
    .toString("latin1")
    .replace(utf8Character, (bytes) => (bytes.length > 1 ? textOf(bytes) : byteText(bytes.charCodeAt(0))));

const textOf = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8");

const utf8Character =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|./gs;
