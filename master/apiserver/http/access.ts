/** May this user make this request? Authorisation, and impersonation before it. */
import { forbidden, internalError, StatusError } from "#shared/api/errors.ts";
import { unescapedKey } from "../authn/identity-headers.ts";
import type { Attributes, Authorizer } from "../authz/authorizer.ts";
import type { RequestContext, RequestInfo, User } from "../request.ts";

export function attributesOf(user: User, info: RequestInfo, query: URLSearchParams): Attributes {
  const listing = info.verb === "list" || info.verb === "watch" || info.verb === "deletecollection";
  return {
    user,
    verb: info.verb,
    isResourceRequest: info.isResourceRequest,
    path: info.path,
    group: info.group,
    version: info.version,
    resource: info.resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name,
    labelSelector: listing ? (query.get("labelSelector") ?? undefined) : undefined,
    fieldSelector: listing ? (query.get("fieldSelector") ?? undefined) : undefined,
  };
}

/** Throws Forbidden in upstream's words, or InternalError where an authoriser failed. What was decided and why is noted among
 *  the annotations, where there are some. */
export async function assertAllowed(
  authorizer: Authorizer,
  attributes: Attributes,
  annotations?: Record<string, string>,
): Promise<void> {
  const asked = authorizer.authorize(attributes);
  const decision = asked instanceof Promise ? await asked : asked;
  if (annotations) {
    annotations["authorization.k8s.io/decision"] = decision.outcome === "allow" ? "allow" : "forbid";
    const hasFailed = decision.outcome !== "allow" && decision.error !== undefined;
    annotations["authorization.k8s.io/reason"] = hasFailed ? "internal error" : decision.reason;
  }
  if (decision.outcome === "allow") return;
  if (decision.error !== undefined) throw internalError(decision.error);
  const message = refusal(attributes);
  throw forbiddenRequest(attributes, decision.reason === "" ? message : `${message}: ${decision.reason}`);
}

function forbiddenRequest(attributes: Attributes, message: string): StatusError {
  const { isResourceRequest, group, resource, name = "" } = attributes;
  if (!isResourceRequest)
    return new StatusError("Forbidden", `forbidden: ${message}`, { hasDetails: true, headers: unsniffed });
  const error = forbidden({ group, plural: resource }, name, message);
  return new StatusError(error.reason, error.message, { ...error.options, headers: unsniffed });
}

/** Of what tells what was asked for: a browser must not take it for anything else. */
const unsniffed = { "x-content-type-options": "nosniff" };

/** `User "x" cannot list resource "pods" in API group "" in the namespace "y"` */
function refusal(attributes: Attributes): string {
  const { user, verb, isResourceRequest, path, group, resource, subresource, namespace } = attributes;
  const who = `User ${JSON.stringify(user.name)} cannot`;
  if (!isResourceRequest) return `${who} ${verb} path ${JSON.stringify(path)}`;
  const what = subresource ? `${resource}/${subresource}` : resource;
  const where = namespace ? `in the namespace ${JSON.stringify(namespace)}` : "at the cluster scope";
  return `${who} ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}`;
}

export const impersonationPrefix = "impersonate-";
const extraPrefix = "impersonate-extra-";

/** Almost no request does. */
function asksToImpersonate(headers: RequestContext["headers"]): boolean {
  for (const header in headers) if (header.startsWith(impersonationPrefix)) return true;
  return false;
}

/** The user to act as: the one that Impersonate- headers name, if the real one may. Throws Forbidden. */
export function impersonated(
  authorizer: Authorizer,
  user: User,
  headers: RequestContext["headers"],
): Promise<User> | User {
  return asksToImpersonate(headers) ? actorOf(authorizer, user, headers) : user;
}

async function actorOf(authorizer: Authorizer, user: User, headers: RequestContext["headers"]): Promise<User> {
  const name = headers["impersonate-user"] ?? "";
  const groups = splitHeader(headers["impersonate-group"]);
  const uid = headers["impersonate-uid"] ?? "";
  const extra = extraOf(headers);
  const asksMore = groups.length > 0 || uid !== "" || Object.keys(extra).length > 0;
  if (name === "" && !asksMore) return user;
  if (name === "") {
    const authentication = "authentication.k8s.io/v1";
    const asked = [
      ...groups.map((each) => `{Group  ${each}    }`),
      ...(uid === "" ? [] : [`{UID  ${uid}  ${authentication}  }`]),
      ...Object.entries(extra).flatMap(([key, values]) =>
        values.map((value) => `{UserExtra  ${value}  ${authentication}  ${key}}`),
      ),
    ];
    throw new StatusError("BadRequest", `requested [${asked.join(" ")}] without impersonating a user`, {
      headers: unsniffed,
    });
  }
  const may = (resource: string, value: string, where: Partial<Attributes> = {}): Promise<void> =>
    assertAllowed(authorizer, { ...impersonation, user, resource, name: value, ...where });
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
  if (account) await may("serviceaccounts", account[2] ?? "", { namespace: account[1] });
  else await may("users", name);
  for (const group of groups) await may("groups", group);
  if (uid !== "") await may("uids", uid, { group: "authentication.k8s.io" });
  for (const [key, values] of Object.entries(extra)) {
    for (const value of values) {
      await may("userextras", value, { group: "authentication.k8s.io", subresource: key });
    }
  }
  return {
    name,
    groups: groupsOf(name, groups, account?.[1]),
    uid: uid === "" ? undefined : uid,
    ...(Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

const impersonation = {
  verb: "impersonate",
  isResourceRequest: true,
  path: "",
  group: "",
  version: "v1",
} as const;

function groupsOf(name: string, given: readonly string[], accountNamespace: string | undefined): string[] {
  const groups = [...given];
  if (accountNamespace !== undefined && groups.length === 0) {
    groups.push("system:serviceaccounts", `system:serviceaccounts:${accountNamespace}`);
  }
  const everyone = name === "system:anonymous" ? "system:unauthenticated" : "system:authenticated";
  if (!groups.includes("system:authenticated") && !groups.includes("system:unauthenticated")) groups.push(everyone);
  return groups;
}

/** The transport joins repeated headers of this kind by a line feed: their values may hold commas. */
export const repeatedHeaderSeparator = "\n";

const splitHeader = (text: string | undefined): string[] => text?.split(repeatedHeaderSeparator) ?? [];

function extraOf(headers: RequestContext["headers"]): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const [header, text] of Object.entries(headers)) {
    if (!header.startsWith(extraPrefix)) continue;
    extra[unescapedKey(header.slice(extraPrefix.length))] = splitHeader(text);
  }
  return extra;
}
