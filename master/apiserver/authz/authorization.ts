/** Who is asked whether a request may be made: by --authorization-config, or by --authorization-mode and its flags. */
import type { Log } from "#shared/client/log.ts";
import { FollowedFile } from "#shared/config/followed-file.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { AuthorizerEntry, AuthorizerType } from "./authorization-configuration.ts";
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
  readonly types: readonly AuthorizerType[];
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
  const isUsual = authorizationMode.join() === "Node,RBAC";
  if (path === "") {
    if (authorizationWebhookConfigFile !== "" && !authorizationMode.includes("Webhook"))
      throw new ConfigError("authorization-webhook-config-file: cannot be specified without mode Webhook");
    if (isUsual) return undefined;
  } else if (!isUsual || authorizationWebhookConfigFile !== "")
    throw new ConfigError(
      "authorization-config: cannot be specified when authorization-mode or authorization-webhook-… are",
    );
  // With their CEL, which few need.
  const [{ parseAuthorizationConfiguration, authorizerTypes }, { WebhookAuthorizer }] = await Promise.all([
    import("./authorization-configuration.ts"),
    import("./webhook-authorizer.ts"),
  ]);
  const built = (entry: AuthorizerEntry, stored: StoredAuthorizers): Authorizer => {
    switch (entry.type) {
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
  const chainOf = (entries: readonly AuthorizerEntry[], stored: StoredAuthorizers): Chain => ({
    ...authorizerChain(entries.map((entry) => countedDecisions(entry.type, entry.name, built(entry, stored)))),
    types: entries.map(({ type }) => type),
  });
  if (path === "") {
    const entries = entriesOfModes(settings, authorizerTypes);
    return (stored) => ({ ...chainOf(entries, stored), stop: () => undefined });
  }
  return (stored) => {
    const file = new FollowedFile<Chain>({
      path,
      setting: "authorization-config",
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

/** As upstream: only webhooks come and go while the server runs. */
function assertSameTypes(before: readonly AuthorizerType[], now: readonly AuthorizerType[]): void {
  const others = (types: readonly AuthorizerType[]) => types.filter((type) => type !== "Webhook");
  const missing = others(before).filter((type) => !now.includes(type));
  if (missing.length > 0) throw new Error(`authorizers: missing required types: ${missing.toSorted().join(", ")}`);
  const [fresh] = others(now).filter((type) => !before.includes(type));
  if (fresh) throw new Error(`authorizer type ${fresh} is not allowed if it was not enabled at initial server startup`);
}

const WEBHOOK_TIMEOUT_MS = 30_000;

function entriesOfModes(settings: AuthorizationSettings, known: readonly AuthorizerType[]): AuthorizerEntry[] {
  const modes = settings.authorizationMode;
  if (modes.length === 0) throw new ConfigError("authorization-mode: at least one authorization-mode must be passed");
  return modes.map((mode, index): AuthorizerEntry => {
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
