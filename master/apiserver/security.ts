import type { Client } from "#shared/client/client.ts";
import type { AdmissionPlugin } from "./admission/admission.ts";
import type { TolerationSeconds } from "./admission/default-toleration-seconds.ts";
import { type AdmissionParts, admissionPlugins } from "./admission/plugins.ts";
import { BootstrapTokens } from "./authn/bootstrap-token.ts";
import { type AuthenticatorChain, authenticatorChain, bearerTokens } from "./authn/chain.ts";
import { ClientIdentities } from "./authn/client-identity.ts";
import { type FrontProxyTrust, ownFrontProxies } from "./authn/front-proxy-trust.ts";
import { IdentityHeaders } from "./authn/identity-headers.ts";
import { openIdPaths } from "./authn/openid-discovery.ts";
import { FrontProxies } from "./authn/request-header.ts";
import { SecretTokenUse } from "./authn/secret-token-use.ts";
import type { ServiceAccountIssuer } from "./authn/service-account-issuer.ts";
import { ServiceAccountTokens } from "./authn/service-account-token.ts";
import { type TokenAuthenticator, unionOfTokens } from "./authn/token-authenticator.ts";
import { type TokenLifetimes, TokenRequests } from "./authn/token-request.ts";
import { authenticationReviews } from "./authn/token-review.ts";
import { ClientCertificates } from "./authn/x509.ts";
import { authorizationReviews } from "./authz/access-review.ts";
import { type AuthorizationFactory, usualAuthorization } from "./authz/authorization.ts";
import type { Authorizer } from "./authz/authorizer.ts";
import { bootstrapRules } from "./authz/bootstrap-policy.ts";
import { authorizerChain, privilegedGroup, rulesOfUser } from "./authz/chain.ts";
import { NodeAuthorizer } from "./authz/node.ts";
import { NodeGraph } from "./authz/node-graph.ts";
import { RbacAuthorizer } from "./authz/rbac.ts";
import type { ResourceDeclaration } from "./registry/declaration.ts";
import type { ResourceReader } from "./registry/reader.ts";
import type { ResourceTable } from "./registry/resource-table.ts";
import type { SubresourceHandler } from "./registry/subresource-handler.ts";
import type { PathAnswer } from "./server-parts.ts";

export interface SecurityOptions {
  readonly reader: ResourceReader;
  readonly issuer: ServiceAccountIssuer;
  /** Who else knows tokens, asked last. */
  readonly moreTokens?: readonly TokenAuthenticator[] | undefined;
  /** How far proxies in front are believed; undefined: as the cluster's own one is. */
  readonly frontProxies?: Pick<FrontProxyTrust, "allowedNames" | "headers"> | undefined;
  /** Where who shows no credentials is the anonymous user; everywhere unless said otherwise. */
  readonly allowsAnonymous?: ((path: string) => boolean) | undefined;
  /** Tokens of Secrets with which boards join; they are unless said otherwise. */
  readonly takesBootstrapTokens?: boolean | undefined;
  readonly tokenLifetimes?: TokenLifetimes | undefined;
  /** Who is asked whether a request may be made; Node and RBAC unless said otherwise. */
  readonly authorization?: AuthorizationFactory | undefined;
  /** The API server's own client (system:masters), called only while requests are served. */
  readonly client: () => Client;
  /** host:port at which clients outside reach the API. */
  readonly externalAddress: () => string;
  readonly tolerationSeconds?: TolerationSeconds | undefined;
  /** Every kind that is served; for one plugin that is off unless it is enabled. */
  readonly resources?: Pick<ResourceTable, "all"> | undefined;
  readonly admissionPlugins?: Pick<AdmissionParts, "choice" | "configurations"> | undefined;
  /** Admission policies and webhooks. */
  readonly admissionExtensions?: readonly AdmissionPlugin[] | undefined;
}

/** The stages of the pipeline that decide who may do what, and the kinds and paths that come with them. */
export interface Security {
  readonly authenticator: AuthenticatorChain;
  readonly identityHeaders: IdentityHeaders;
  readonly authorizer: Authorizer;
  readonly admission: readonly AdmissionPlugin[];
  /** TokenReview, SubjectAccessReview and the like. */
  readonly declarations: readonly ResourceDeclaration[];
  /** By group, then `plural/subresource`. */
  readonly subresources: Readonly<Record<string, Readonly<Record<string, SubresourceHandler>>>>;
  /** Exact non-resource paths. */
  readonly paths: Readonly<Record<string, PathAnswer>>;
  /** Stops following changes. */
  stop(): void;
}

/** Builds them over the reader, in upstream's order: proxies, certificates, then tokens; system:masters before who is asked else. */
export function createSecurity(options: SecurityOptions): Security {
  const { reader, issuer, frontProxies = ownFrontProxies } = options;
  const secretUse = new SecretTokenUse(options.client);
  const tokens = unionOfTokens([
    new ServiceAccountTokens(issuer, reader, { secretUse }),
    ...(options.takesBootstrapTokens === false ? [] : [new BootstrapTokens(reader)]),
    ...(options.moreTokens ?? []),
  ]);
  const identities = new ClientIdentities();
  const identityHeaders = new IdentityHeaders(frontProxies.headers);
  const authenticators = [
    new FrontProxies(identities, identityHeaders, frontProxies.allowedNames),
    new ClientCertificates(identities),
    bearerTokens(tokens),
  ];
  const rbac = new RbacAuthorizer(reader);
  const graph = new NodeGraph(reader);
  const parts = { Node: new NodeAuthorizer(graph, bootstrapRules("system:node")), RBAC: rbac };
  const authorization = (options.authorization ?? usualAuthorization)(parts);
  const authorizer = authorizerChain([privilegedGroup, authorization]);
  return {
    authenticator: authenticatorChain(authenticators, options.allowsAnonymous),
    identityHeaders,
    authorizer,
    admission: admissionPlugins({
      reader,
      authorizer,
      rbac,
      client: options.client,
      ...options.admissionPlugins,
      resources: () => options.resources ?? { all: () => [] },
      tolerationSeconds: options.tolerationSeconds,
      extensions: options.admissionExtensions,
    }),
    declarations: [
      ...authenticationReviews(tokens, issuer.apiAudiences),
      ...authorizationReviews(authorizer, (user, namespace) =>
        rulesOfUser({ types: authorization.types, abac: authorization.abac, rbac }, user, namespace),
      ),
    ],
    subresources: { "": { "serviceaccounts/token": new TokenRequests(issuer, reader, options.tokenLifetimes) } },
    paths: openIdPaths(issuer, options.externalAddress),
    stop() {
      rbac.stop();
      graph.stop();
      authorization.stop();
    },
  };
}
