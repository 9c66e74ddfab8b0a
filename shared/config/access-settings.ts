/** By what the API server knows who asks, and what they may do: upstream's flags. */
import { choice, duration, text, texts, toggle, under } from "./option.ts";

/** Who sends a request. */
const authenticationOptions = under("Signing in:", {
  clientCaFile: text(
    "client-ca-file",
    "FILE",
    "by whom clients may have their certificates beside the cluster's own CA",
    "",
  ),
  anonymousAuth: toggle("anonymous-auth", "take requests without credentials, as of system:anonymous", true),
  tokenAuthFile: text("token-auth-file", "FILE", 'tokens of people, a line each: token,user,uid,"group1,group2"', ""),
  enableBootstrapTokenAuth: toggle(
    "enable-bootstrap-token-auth",
    "take the tokens of Secrets of type bootstrap.kubernetes.io/token in kube-system, with which boards join",
    true,
  ),
  oidcIssuerUrl: text(
    "oidc-issuer-url",
    "URL",
    "issuer (OpenID Connect) whose ID tokens are taken as bearer tokens, https://…",
    "",
  ),
  oidcClientId: text("oidc-client-id", "ID", "for whom its tokens must be made", ""),
  oidcUsernameClaim: text("oidc-username-claim", "CLAIM", "what becomes the user's name", "sub"),
  oidcUsernamePrefix: text(
    "oidc-username-prefix",
    "PREFIX",
    "before the name; - for none (default: the issuer and #, but none for the claim email)",
    "",
  ),
  oidcGroupsClaim: text("oidc-groups-claim", "CLAIM", "what becomes the user's groups, a text or a list", ""),
  oidcGroupsPrefix: text("oidc-groups-prefix", "PREFIX", "before each group", ""),
  oidcRequiredClaim: texts("oidc-required-claim", "CLAIM=VALUE", "what a token must say to be taken"),
  oidcSigningAlgs: texts("oidc-signing-algs", "ALG", "algorithms of signatures that are taken (default: RS256)"),
  oidcCaFile: text("oidc-ca-file", "FILE", "the CA of the issuer's certificate (default: the system's)", ""),
  authenticationConfig: text(
    "authentication-config",
    "FILE",
    "AuthenticationConfiguration (apiserver.config.k8s.io/v1): issuers of tokens, anonymous requests; instead of oidc-…",
    "",
  ),
  authenticationTokenWebhookConfigFile: text(
    "authentication-token-webhook-config-file",
    "FILE",
    "kubeconfig of a service that is asked who bearer tokens belong to",
    "",
  ),
  authenticationTokenWebhookVersion: choice(
    "authentication-token-webhook-version",
    "version of the TokenReviews that it is sent",
    ["v1", "v1beta1"],
    "v1beta1",
  ),
  authenticationTokenWebhookCacheTtl: duration(
    "authentication-token-webhook-cache-ttl",
    "how long its answers are kept",
    "2m",
  ),
  requestheaderClientCaFile: text(
    "requestheader-client-ca-file",
    "FILE",
    "the CA of proxies in front that say whose requests they bring (default: the cluster's front-proxy CA)",
    "",
  ),
  requestheaderAllowedNames: texts(
    "requestheader-allowed-names",
    "NAME",
    "common names of their certificates (default: front-proxy-client, but any of a CA of one's own)",
  ),
  requestheaderUsernameHeaders: texts("requestheader-username-headers", "HEADER", "where they say the user's name", [
    "X-Remote-User",
  ]),
  requestheaderUidHeaders: texts("requestheader-uid-headers", "HEADER", "its UID", ["X-Remote-Uid"]),
  requestheaderGroupHeaders: texts("requestheader-group-headers", "HEADER", "its groups", ["X-Remote-Group"]),
  requestheaderExtraHeadersPrefix: texts(
    "requestheader-extra-headers-prefix",
    "PREFIX",
    "what headers with its other properties begin with",
    ["X-Remote-Extra-"],
  ),
} as const);

/** What the sender may do. */
const authorizationOptions = under("What users may do:", {
  authorizationMode: texts(
    "authorization-mode",
    "MODE",
    "who is asked whether a request may be made, in this order: Node, RBAC, Webhook, ABAC, AlwaysAllow, AlwaysDeny",
    ["Node", "RBAC"],
  ),
  authorizationPolicyFile: text("authorization-policy-file", "FILE", "policies of mode ABAC, a JSON object a line", ""),
  authorizationConfig: text(
    "authorization-config",
    "FILE",
    "AuthorizationConfiguration (apiserver.config.k8s.io/v1): the same with webhooks and their conditions; instead of authorization-…",
    "",
  ),
  authorizationWebhookConfigFile: text(
    "authorization-webhook-config-file",
    "FILE",
    "kubeconfig of the service that is asked in mode Webhook",
    "",
  ),
  authorizationWebhookVersion: choice(
    "authorization-webhook-version",
    "version of the SubjectAccessReviews that it is sent",
    ["v1", "v1beta1"],
    "v1beta1",
  ),
  authorizationWebhookCacheAuthorizedTtl: duration(
    "authorization-webhook-cache-authorized-ttl",
    "how long it is remembered that it allowed a request",
    "5m",
  ),
  authorizationWebhookCacheUnauthorizedTtl: duration(
    "authorization-webhook-cache-unauthorized-ttl",
    "how long it is remembered that it did not",
    "30s",
  ),
} as const);

/** Tokens that service accounts get. */
const serviceAccountOptions = under("Tokens of service accounts:", {
  serviceAccountIssuer: texts(
    "service-account-issuer",
    "URL",
    "who they say that issued them; of several, the first issues and all count (default: https://kubernetes.default.svc.CLUSTER-DOMAIN)",
  ),
  apiAudiences: texts("api-audiences", "NAME", "for whom they must be made to count here (default: the issuers)"),
  serviceAccountJwksUri: text(
    "service-account-jwks-uri",
    "URL",
    "where others are told to find the keys that they are verified by (default: this API server)",
    "",
  ),
  serviceAccountMaxTokenExpiration: duration(
    "service-account-max-token-expiration",
    "what asks for a longer life gets this one; 0s: any",
    "0s",
  ),
  serviceAccountExtendTokenExpiration: toggle(
    "service-account-extend-token-expiration",
    "let pods' own tokens live a year, and tell of clients that do not read them anew",
    true,
  ),
} as const);

export const accessOptions = { ...authenticationOptions, ...serviceAccountOptions, ...authorizationOptions } as const;
