/** Who is asked whether a request may be made: by --authorization-config, or by --authorization-mode and its flags. */
import type { Log } from "#shared/client/log.ts";
import { FollowedFile } from "#shared/config/followed-file.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { authorizationReloads } from "#shared/metrics/configuration-reloads.ts";
import type { AbacAuthorizer } from "./abac.ts";
import type { AuthorizerEntry, AuthorizerMode, AuthorizerType } from "./authorization-configuration.ts";
import type { Authorizer } from "./authorizer.ts";
import { authorizerChain } from "./chain.ts";
import { countedDecisions } from "./decision-counts.ts";

/** The authorisers that follow what is stored. */
export interface StoredAuthorizers {
  readonly Node: Authorizer;
  readonly RBAC: Authorizer;
}

export interface Authorization extends Authorizer {
  /** In the order in which they are asked. */
  readonly types: readonly AuthorizerMode[];
  /** Where mode ABAC is among them. */
  readonly abac?: AbacAuthorizer | undefined;
  stop(): void;
}

export type AuthorizationFactory = (stored: StoredAuthorizers) => Authorization;

/** Node and RBAC. */
export const usualAuthorization: AuthorizationFactory = ({ Node, RBAC }) => ({
  ...authorizerChain([countedDecisions("Node", "node", Node), countedDecisions("RBAC", "rbac", RBAC)]),
  types: ["Node", "RBAC"],
  stop: () => undefined,
});

type AuthorizationSettings = Pick<
  MasterSettings,
  | "authorizationMode"
  | "authorizationConfig"
  | "authorizationPolicyFile"
  | "authorizationWebhookConfigFile"
  | "authorizationWebhookVersion"
  | "authorizationWebhookCacheAuthorizedTtl"
  | "authorizationWebhookCacheUnauthorizedTtl"
>;

/** Of the settings; undefined where they say what is usual. Throws ConfigError. */
export async function authorizationOf(
  settings: AuthorizationSettings,
  log: Log,
): Promise<AuthorizationFactory | undefined> {
  const { authorizationConfig: path, authorizationMode, authorizationWebhookConfigFile } = settings;
  const { authorizationPolicyFile } = settings;
  const isUsual = authorizationMode.join() === "Node,RBAC";
  if (path === "") {
    if (authorizationWebhookConfigFile !== "" && !authorizationMode.includes("Webhook"))
      throw new ConfigError("authorization-webhook-config-file: cannot be specified without mode Webhook");
    if (authorizationPolicyFile !== "" && !authorizationMode.includes("ABAC"))
      throw new ConfigError("cannot specify --authorization-policy-file without mode ABAC");
    if (isUsual) return undefined;
  } else if (!isUsual || authorizationWebhookConfigFile !== "" || authorizationPolicyFile !== "")
    throw new ConfigError(
      "authorization-config: cannot be specified when authorization-mode, authorization-policy-file or authorization-webhook-… are",
    );
  // With their CEL, which few need.
  const [{ parseAuthorizationConfiguration, authorizerTypes }, { WebhookAuthorizer }] = await Promise.all([
    import("./authorization-configuration.ts"),
    import("./webhook-authorizer.ts"),
  ]);
  const abac = authorizationMode.includes("ABAC") ? await abacOf(authorizationPolicyFile) : undefined;
  const built = (entry: AskedEntry, stored: StoredAuthorizers): Authorizer => {
    switch (entry.type) {
      case "ABAC":
        if (!abac) throw new Error("mode ABAC has not read its policies");
        return abac;
      case "AlwaysAllow":
        return { authorize: async () => ({ outcome: "allow", reason: "" }) };
      case "AlwaysDeny":
        return { authorize: async () => ({ outcome: "no-opinion", reason: "Everything is forbidden." }) };
      case "Webhook":
        return new WebhookAuthorizer(entry, log);
      default:
        return stored[entry.type];
    }
  };
  const chainOf = (entries: readonly AskedEntry[], stored: StoredAuthorizers): Chain => ({
    ...authorizerChain(entries.map((entry) => countedDecisions(entry.type, entry.name, built(entry, stored)))),
    types: entries.map(({ type }) => type),
  });
  if (path === "") {
    const entries = entriesOfModes(settings, authorizerTypes);
    return (stored) => ({ ...chainOf(entries, stored), abac, stop: () => undefined });
  }
  return (stored) => {
    const file = new FollowedFile<Chain>({
      path,
      setting: "authorization-config",
      reloads: authorizationReloads,
      log,
      parse(text, former) {
        const chain = chainOf(parseAuthorizationConfiguration(text), stored);
        if (former) assertSameTypes(former.types, chain.types);
        return chain;
      },
    });
    return {
      authorize: (attributes) => file.current.authorize(attributes),
      get types() {
        return file.current.types;
      },
      stop: () => file.stop(),
    };
  };
}

type Chain = Omit<Authorization, "stop">;
type AskedEntry = AuthorizerEntry | { readonly type: "ABAC"; readonly name: string };

/** Throws ConfigError. */
async function abacOf(policyFile: string): Promise<AbacAuthorizer> {
  if (policyFile === "") throw new ConfigError("authorization-mode ABAC's authorization policy file not passed");
  const { AbacAuthorizer, readAbacPolicies } = await import("./abac.ts");
  return new AbacAuthorizer(readAbacPolicies(policyFile));
}

/** As upstream: only webhooks come and go while the server runs. */
function assertSameTypes(before: readonly AuthorizerMode[], now: readonly AuthorizerMode[]): void {
  const others = (types: readonly AuthorizerMode[]) => types.filter((type) => type !== "Webhook");
  const missing = others(before).filter((type) => !now.includes(type));
  if (missing.length > 0) throw new Error(`authorizers: missing required types: ${missing.toSorted().join(", ")}`);
  const [fresh] = others(now).filter((type) => !before.includes(type));
  if (fresh) throw new Error(`authorizer type ${fresh} is not allowed if it was not enabled at initial server startup`);
}

const WEBHOOK_TIMEOUT_MS = 30_000;

function entriesOfModes(settings: AuthorizationSettings, types: readonly AuthorizerType[]): AskedEntry[] {
  const known: readonly AuthorizerMode[] = [...types, "ABAC"];
  const modes = settings.authorizationMode;
  if (modes.length === 0) throw new ConfigError("authorization-mode: at least one authorization-mode must be passed");
  return modes.map((mode, index): AskedEntry => {
    const type = known.find((each) => each === mode);
    if (!type)
      throw new ConfigError(`authorization-mode: "${mode}" is not a valid mode; there are: ${known.join(", ")}`);
    if (modes.indexOf(mode) !== index)
      throw new ConfigError(`authorization-mode ${JSON.stringify(modes)} has mode specified more than once`);
    const name = type.toLowerCase();
    if (type !== "Webhook") return { type, name };
    const kubeconfig = settings.authorizationWebhookConfigFile;
    if (kubeconfig === "")
      throw new ConfigError(
        "authorization-mode Webhook's authorization config file not passed: authorization-webhook-config-file",
      );
    return {
      type,
      name,
      kubeconfig,
      version: settings.authorizationWebhookVersion,
      authorizedTtl_ms: settings.authorizationWebhookCacheAuthorizedTtl,
      unauthorizedTtl_ms: settings.authorizationWebhookCacheUnauthorizedTtl,
      timeout_ms: WEBHOOK_TIMEOUT_MS,
      onFailure: "no-opinion",
      conditions: [],
    };
  });
}
