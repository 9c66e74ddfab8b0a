import { isAlreadyExists } from "#shared/api/errors.ts";
import { serviceAccounts } from "#shared/api/resources.ts";
import type { TokenRequest } from "#shared/api/types/authentication-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { Credentials } from "#shared/client/http-transport.ts";
import type { Log } from "#shared/client/log.ts";

const namespace = "kube-system";
const lifetime_s = 3_600;
/** Well before the end, so that a master that is away for a while costs no controller its rights. */
const renewEvery_ms = 30 * 60_000;
const retry_ms = 10_000;

type ServerProof = Pick<Credentials, "ca" | "serverName" | "insecureSkipTlsVerify">;

/** Tokens of service accounts of kube-system, renewed as long as they are used. */
export class AccountTokens {
  readonly #current = new Map<string, Credentials>();
  #accounts: readonly string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(
    private readonly client: Client,
    private readonly log: Log,
  ) {}

  /** Makes the accounts and gets a token for each. Rejects when the API does not grant them. */
  async prepare(accounts: readonly string[]): Promise<void> {
    this.#accounts = [...new Set(accounts)];
    await Promise.all(this.#accounts.map((account) => this.#renew(account)));
    this.#schedule(renewEvery_ms);
  }

  /**
   * The same object until the token changes. Throws for an account that was not prepared.
   * @param server by what it proves itself: a token is shown to nobody else, but where a kubeconfig asks for no proof.
   */
  credentials(account: string, server: ServerProof): Credentials {
    const present = this.#current.get(account);
    if (!present) throw new Error(`no token was asked for ${account}`);
    const { ca, serverName, insecureSkipTlsVerify } = server;
    const isSame =
      present.ca === ca && present.serverName === serverName && present.insecureSkipTlsVerify === insecureSkipTlsVerify;
    if (isSame) return present;
    const next = { ...present, ca, serverName, insecureSkipTlsVerify };
    this.#current.set(account, next);
    return next;
  }

  async #renew(account: string): Promise<void> {
    const key = { namespace, name: account };
    try {
      await this.client.create(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata: key });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    const request: TokenRequest = {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: {},
      spec: { audiences: [], expirationSeconds: lifetime_s },
    };
    const { status } = await this.client.post(serviceAccounts, key, "token", request);
    this.#current.set(account, { ...this.#current.get(account), token: status?.token ?? "" });
  }

  #schedule(after_ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(async () => {
      try {
        await Promise.all(this.#accounts.map((account) => this.#renew(account)));
        this.#schedule(renewEvery_ms);
      } catch (error) {
        this.log.warn("tokens of controllers could not be renewed; trying again", { error });
        this.#schedule(retry_ms);
      }
    }, after_ms);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
