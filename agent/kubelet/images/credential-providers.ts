import { join } from "node:path";
import { runChild } from "#agent/host/child-process.ts";
import { type DockerConfig, matchesImage } from "#agent/runtime/image-credentials.ts";
import { parseImageReference } from "#agent/runtime/image-reference.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Log } from "#shared/client/log.ts";
import { parseDuration_ms } from "#shared/config/option.ts";
import type { Account, AccountTokens, ToldAccount } from "./account-tokens.ts";
import { type CredentialProvider, requestVersion } from "./credential-provider-config.ts";

const exec_ms = 60_000;
const longestAnswer_bytes = 1024 * 1024;
const mostCached = 512;

interface Cached {
  readonly config: DockerConfig;
  readonly until_ms: number;
}

/** A config, with the pod's account that it is for where it is for one alone. */
export interface ProvidedConfig {
  readonly config: DockerConfig;
  readonly account?: Account | undefined;
}

interface Answer {
  readonly config: DockerConfig;
  readonly cacheKeyType: "Image" | "Registry" | "Global";
  /** undefined: the provider's default. */
  readonly cache_ms: number | undefined;
}

/**
 * Credentials for images from exec plugins, as upstream's kubelet asks them (KEP-2133): a request as JSON on standard input,
 * a response on standard output, cached by image, registry or for all as the plugin says. One that fails is passed over: the
 * pull goes on without it.
 */
export class CredentialProviders {
  readonly #providers: readonly CredentialProvider[];
  readonly #folder: string;
  readonly #log: Log;
  readonly #now_ms: () => number;
  readonly #accounts: AccountTokens | undefined;
  readonly #cache = new Map<string, Cached>();
  /** Runs of a plugin for one image, for pods that want the same. */
  readonly #underway = new Map<string, Promise<Answer>>();

  constructor(
    providers: readonly CredentialProvider[],
    folder: string,
    log: Log,
    accounts?: AccountTokens | undefined,
    now_ms: () => number = () => performance.now(),
  ) {
    this.#accounts = accounts;
    this.#providers = providers;
    this.#folder = folder;
    this.#log = log;
    this.#now_ms = now_ms;
  }

  /** What the plugins that are for this image and pod give, in the order of the configuration. Rejects with InvalidImageReference
   *  only. */
  async configsFor(image: string, pod?: Pod): Promise<ProvidedConfig[]> {
    const { domain, path } = parseImageReference(image);
    const repository = `${domain}/${path}`;
    const matching = this.#providers.filter(({ matchImages }) => matchImages.some((key) => matchesImage(key, image)));
    const found = await Promise.all(
      matching.map((provider) =>
        this.#askFor(provider, pod, { domain, repository }).catch((error: unknown) => {
          this.#log.warn("a credential provider failed", { provider: provider.name, image: repository, error });
          return undefined;
        }),
      ),
    );
    return found.filter((each) => each !== undefined);
  }

  /** Drops what is remembered of a pod. */
  forget(podUid: string): void {
    this.#accounts?.forget(podUid);
  }

  async #askFor(
    provider: CredentialProvider,
    pod: Pod | undefined,
    image: { readonly domain: string; readonly repository: string },
  ): Promise<ProvidedConfig | undefined> {
    const { tokenAttributes } = provider;
    const told = tokenAttributes ? await this.#accounts?.of(pod, tokenAttributes) : "nothing";
    if (told === undefined) return undefined;
    if (told === "nothing") return { config: await this.#ask(provider, image, undefined) };
    return { config: await this.#ask(provider, image, told), account: told.account };
  }

  async #ask(
    provider: CredentialProvider,
    { domain, repository }: { readonly domain: string; readonly repository: string },
    told: ToldAccount | undefined,
  ): Promise<DockerConfig> {
    const keyOf = (scope: string): string => JSON.stringify([provider.name, scope, ...(told ? [told.cacheKey] : [])]);
    const scopes = { Image: `image ${repository}`, Registry: `registry ${domain}`, Global: "global" };
    const now_ms = this.#now_ms();
    for (const scope of Object.values(scopes)) {
      const cached = this.#cache.get(keyOf(scope));
      if (cached && cached.until_ms > now_ms) return cached.config;
    }
    const { config, cacheKeyType, cache_ms = provider.defaultCache_ms } = await this.#run(provider, repository, told);
    if (cache_ms > 0) {
      if (this.#cache.size >= mostCached) this.#dropOne();
      this.#cache.set(keyOf(scopes[cacheKeyType]), { config, until_ms: this.#now_ms() + cache_ms });
    }
    return config;
  }

  #dropOne(): void {
    const [oldest] = this.#cache.keys();
    if (oldest !== undefined) this.#cache.delete(oldest);
  }

  #run(provider: CredentialProvider, repository: string, told: ToldAccount | undefined): Promise<Answer> {
    const key = JSON.stringify([provider.name, repository, told?.runKey ?? ""]);
    const underway = this.#underway.get(key);
    if (underway) return underway;
    const run = runPlugin(join(this.#folder, provider.name), provider, repository, told)
      .then(parseAnswer)
      .then((answer) => refuseEcho(answer, provider, told));
    this.#underway.set(key, run);
    const done = (): unknown => this.#underway.delete(key);
    run.then(done, done);
    return run;
  }
}

/** What the plugin writes. Rejects when it fails, takes longer than a minute or says too much. */
async function runPlugin(
  program: string,
  { args, env }: CredentialProvider,
  image: string,
  told: ToldAccount | undefined,
): Promise<string> {
  const ofAccount = told && { serviceAccountToken: told.token, serviceAccountAnnotations: told.annotations };
  const { code, stdout, stderr, timedOut } = await runChild(program, args, {
    env: { ...process.env, ...env },
    input: JSON.stringify({ kind: "CredentialProviderRequest", apiVersion: requestVersion, image, ...ofAccount }),
    timeout_ms: exec_ms,
    maxOutput_bytes: longestAnswer_bytes,
  });
  if (code === 0) return stdout;
  const how = timedOut
    ? `took more than ${exec_ms / 1000} s`
    : code === null
      ? "was killed"
      : `ended with exit status ${code}`;
  throw new Error(`it ${how}: ${stderr.trim().slice(0, 1000)}`);
}

/** A token given back as a password is good for its pod alone; other pods of the account must not find it kept. */
function refuseEcho(answer: Answer, { tokenAttributes }: CredentialProvider, told: ToldAccount | undefined): Answer {
  if (!told || tokenAttributes?.cacheType === "Token") return answer;
  const { auths } = answer.config as { auths: Record<string, { password?: unknown } | null> };
  if (Object.values(auths).some((entry) => entry?.password === told.token))
    throw new Error("it gave back the service account's token as a password, which its cacheType does not allow");
  return answer;
}

function parseAnswer(text: string): Answer {
  const { apiVersion, kind, cacheKeyType, cacheDuration, auth } = JSON.parse(text) as Record<string, unknown>;
  if (kind !== "CredentialProviderResponse" || apiVersion !== requestVersion) {
    throw new Error(`its answer is ${apiVersion} ${kind}, not ${requestVersion} CredentialProviderResponse`);
  }
  if (cacheKeyType !== "Image" && cacheKeyType !== "Registry" && cacheKeyType !== "Global") {
    throw new Error(`its answer has no valid cacheKeyType: ${JSON.stringify(cacheKeyType)}`);
  }
  const cache_ms = typeof cacheDuration === "string" ? parseDuration_ms(cacheDuration) : undefined;
  if (cacheDuration !== undefined && cacheDuration !== null && cache_ms === undefined) {
    throw new Error(`its answer has no valid cacheDuration: ${JSON.stringify(cacheDuration)}`);
  }
  // Longer keys first, and those with a glob behind the others: the reverse of their order as text.
  const entries = Object.entries(auth ?? {}).sort(([a], [b]) => (a < b ? 1 : -1));
  return { config: { auths: Object.fromEntries(entries) }, cacheKeyType, cache_ms };
}
