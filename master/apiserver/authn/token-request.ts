import { badRequest, conflict, type FieldError, invalid, notFound } from "#shared/api/errors.ts";
import { managerOfRequest, updateManagedFields } from "#shared/api/managed-fields/index.ts";
import { apiVersionOf, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { nodes, pods, secrets, serviceAccounts } from "#shared/api/resources.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import { rfc3339 } from "#shared/api/time.ts";
import type { BoundObjectReference, TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import type { ServiceAccount } from "#shared/api/types/core-v1.generated.ts";
import type { ManagedFieldsEntry } from "#shared/api/types/meta-v1.generated.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { Prepared } from "../registry/declaration.ts";
import type { ResourceReader } from "../registry/reader.ts";
import type { BodyHandler, SubresourceCall } from "../registry/subresource-handler.ts";
import type { ApiResponse, RequestContext } from "../request.ts";
import { defaultTokenLifetime_s } from "../resources/core/service-account.ts";
import type { BoundReference, KubernetesClaim, ServiceAccountIssuer } from "./service-account-issuer.ts";

const kind = { group: "authentication.k8s.io", kind: "TokenRequest" } as const;
const apiVersion = apiVersionOf({ ...kind, version: "v1" }) as "authentication.k8s.io/v1";
const leastExpiration_s = 600;
/** What a pod's own token asks for: it is made to last a year, so that clients that never read it anew go on working,
 *  and says in `warnafter` when they should have. */
const extendedFrom_s = 3607;
const extendedTo_s = 365 * 86_400;

/** How long tokens live. */
export interface TokenLifetimes {
  /** Who asks for more gets this; Infinity: no bound. */
  readonly longest_s: number;
  /** Pods' own tokens live a year. */
  readonly extendsPods: boolean;
}

const usualLifetimes: TokenLifetimes = { longest_s: Number.POSITIVE_INFINITY, extendsPods: true };

type Settings = Pick<MasterSettings, "serviceAccountMaxTokenExpiration" | "serviceAccountExtendTokenExpiration">;

/** Throws ConfigError, worded as upstream. */
export function tokenLifetimesOf(settings: Settings): TokenLifetimes {
  const longest_s = settings.serviceAccountMaxTokenExpiration / 1000;
  if (longest_s !== 0 && (longest_s < 3600 || longest_s > 2 ** 32))
    throw new ConfigError("the service-account-max-token-expiration must be between 1 hour and 2^32 seconds");
  return {
    longest_s: longest_s || Number.POSITIVE_INFINITY,
    extendsPods: settings.serviceAccountExtendTokenExpiration,
  };
}

type Bound = Pick<KubernetesClaim, "pod" | "secret" | "node">;

interface Wanted {
  readonly request: TokenRequest;
  readonly audiences: readonly string[];
  readonly lifetime_s: number;
}

/** Serves `serviceaccounts/token` (TokenRequest): a signed token for the account, for named audiences, until it expires
 *  or the pod, secret or node that it is bound to goes. */
export class TokenRequests implements BodyHandler {
  constructor(
    private readonly issuer: ServiceAccountIssuer,
    private readonly reader: ResourceReader,
    private readonly lifetimes: TokenLifetimes = usualLifetimes,
    private readonly now_ms: () => number = Date.now,
  ) {}

  prepare(call: SubresourceCall, body: KubeObject): Prepared<ApiResponse> {
    const { namespace = "", name } = call;
    const request = body as unknown as TokenRequest;
    const account = this.reader.get(serviceAccounts, { namespace, name });
    this.#assertSubject(request, namespace, name);
    if (!account) throw notFound(serviceAccounts, name);
    const { uid } = request.metadata;
    if (uid && uid !== account.metadata.uid)
      throw conflict(
        { group: kind.group, plural: kind.kind },
        name,
        `the UID in the token request (${uid}) does not match the UID of the service account (${account.metadata.uid})`,
      );
    const audiences = request.spec.audiences?.length ? request.spec.audiences : [...this.issuer.apiAudiences];
    const lifetime_s = request.spec.expirationSeconds ?? defaultTokenLifetime_s;
    assertLifetime(lifetime_s);
    return {
      judged: this.#judged(request, account, audiences, lifetime_s),
      carryOut: () => this.#grant(call, account, { request, audiences, lifetime_s }),
    };
  }

  async #grant(
    { namespace = "", name, context }: SubresourceCall,
    account: ServiceAccount,
    { request, audiences, lifetime_s: asked_s }: Wanted,
  ): Promise<ApiResponse> {
    const lifetime_s = Math.min(asked_s, this.lifetimes.longest_s);
    if (lifetime_s < asked_s)
      context.warnings.push(`requested expiration of ${asked_s} seconds shortened to ${lifetime_s} seconds`);
    const bound = this.#boundTo(request.spec.boundObjectRef, namespace, name);
    const managedFields = this.#managedFields(request, context);
    const asked = { ...request, metadata: { ...request.metadata, ...(managedFields && { managedFields }) } };
    const answer = await this.#issue(account, { request: asked, audiences, lifetime_s, bound });
    return { kind: "object", code: 201, value: () => answer, text: () => JSON.stringify(answer) };
  }

  /** The request as it will be granted, if it is. */
  #judged(
    request: TokenRequest,
    { metadata: { name, namespace, uid } }: ServiceAccount,
    audiences: readonly string[],
    expirationSeconds: number,
  ): KubeObject {
    const metadata = { ...request.metadata, name, namespace, uid, creationTimestamp: rfc3339(this.now_ms()) };
    return {
      ...request,
      metadata,
      spec: { ...request.spec, audiences: [...audiences], expirationSeconds },
    } as KubeObject;
  }

  /** Who asked for what, though nothing is stored. */
  #managedFields(request: TokenRequest, { query, headers }: RequestContext): ManagedFieldsEntry[] | undefined {
    // Nobody manages what stands empty.
    const { status: _, spec, ...rest } = request;
    const given = Object.entries(spec).filter(([, value]) => value !== null);
    const entries = updateManagedFields({
      schema: schemaFor({ ...kind, version: "v1" }),
      apiVersion,
      subresource: "token",
      live: undefined,
      next: { ...rest, spec: Object.fromEntries(given) } as KubeObject,
      manager: managerOfRequest(query.get("fieldManager") ?? "", headers["user-agent"]) || "unknown",
      now: rfc3339(this.now_ms()),
    });
    return entries && [...entries];
  }

  async #issue(account: ServiceAccount, asked: Wanted & { readonly bound: Bound }): Promise<TokenRequest> {
    const { name = "", namespace = "", uid } = account.metadata;
    const { audiences, lifetime_s, bound, request } = asked;
    const now_s = Math.floor(this.now_ms() / 1000);
    const isExtended =
      this.lifetimes.extendsPods &&
      bound.pod !== undefined &&
      lifetime_s === extendedFrom_s &&
      audiences.every((audience) => this.issuer.apiAudiences.includes(audience));
    const { token } = await this.issuer.issue({
      audiences,
      issuedAt: now_s,
      expiresAt: now_s + (isExtended ? extendedTo_s : lifetime_s),
      kubernetes: {
        namespace,
        ...bound,
        serviceaccount: { name, uid },
        ...(isExtended ? { warnafter: now_s + lifetime_s } : {}),
      },
    });
    const timestamp = (seconds: number) => rfc3339(seconds * 1000);
    return {
      ...request,
      apiVersion,
      kind: kind.kind,
      metadata: { ...request.metadata, name, namespace, uid, creationTimestamp: timestamp(now_s) },
      spec: { ...request.spec, audiences: [...audiences], expirationSeconds: lifetime_s },
      status: { token, expirationTimestamp: timestamp(now_s + lifetime_s) },
    };
  }

  #assertSubject({ metadata }: TokenRequest, namespace: string, name: string): void {
    const differing = (field: "name" | "namespace", value: string): FieldError => ({
      field: `metadata.${field}`,
      reason: "FieldValueInvalid",
      message: `Invalid value: ${JSON.stringify(value)}: must match the service account ${field} if specified`,
    });
    if (metadata.name && metadata.name !== name) throw invalid(kind, name, [differing("name", metadata.name)]);
    if (metadata.namespace && metadata.namespace !== namespace)
      throw invalid(kind, name, [differing("namespace", metadata.namespace)]);
  }

  #boundTo(reference: BoundObjectReference | undefined, namespace: string, account: string): Bound {
    if (!reference) return {};
    const { group, version } = parseApiVersion(reference.apiVersion ?? "");
    const name = reference.name ?? "";
    switch (group === "" ? reference.kind : undefined) {
      case "Pod": {
        const pod = this.#get(pods, reference, { namespace, name });
        if (pod.spec?.serviceAccountName !== account)
          throw badRequest(
            `cannot bind token for serviceaccount "${account}" to pod running with different serviceaccount name.`,
          );
        const nodeName = pod.spec.nodeName ?? "";
        return { ...(nodeName ? { node: this.#nodeReference(nodeName) } : {}), pod: referenceTo(pod) };
      }
      case "Node":
        return { node: referenceTo(this.#get(nodes, reference, { name })) };
      case "Secret":
        return { secret: referenceTo(this.#get(secrets, reference, { namespace, name })) };
      default:
        throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${reference.kind ?? ""}`);
    }
  }

  /** Without its UID when the node is not there (yet): the name alone still helps whoever reads the token. */
  #nodeReference(name: string): BoundReference {
    const node = this.reader.get(nodes, { name });
    return node ? referenceTo(node) : { name };
  }

  #get<T extends KubeObject>(
    ref: ResourceRef<T>,
    reference: BoundObjectReference,
    key: { namespace?: string; name: string },
  ): T {
    if (key.name === "") throw badRequest("Name parameter required.");
    const object = this.reader.get(ref, key);
    if (!object) throw notFound(ref, key.name);
    if (reference.uid && reference.uid !== object.metadata.uid)
      throw conflict(
        { group: "", plural: reference.kind ?? "" },
        key.name,
        `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    return object;
  }
}

function assertLifetime(lifetime_s: number): void {
  const problem =
    lifetime_s < leastExpiration_s
      ? "may not specify a duration less than 10 minutes"
      : lifetime_s > 2 ** 32
        ? "may not specify a duration larger than 2^32 seconds"
        : undefined;
  if (problem)
    throw invalid(kind, "", [
      {
        field: "spec.expirationSeconds",
        reason: "FieldValueInvalid",
        message: `Invalid value: ${lifetime_s}: ${problem}`,
      },
    ]);
}

const referenceTo = ({ metadata }: KubeObject): BoundReference => ({ name: metadata.name ?? "", uid: metadata.uid });
