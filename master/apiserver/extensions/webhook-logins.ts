/** By what this API server signs in at webhooks: the users of a kubeconfig, named after servers (kubeConfigFile of upstream's
 *  WebhookAdmissionConfiguration). */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf } from "#shared/api/joined-errors.ts";
import { kubeconfigUsers, type UserProofs } from "#shared/client/kubeconfig.ts";
import { ConfigError } from "#shared/config/option.ts";

/** What a request to a webhook shows. */
export interface WebhookLogin {
  readonly authorization?: string | undefined;
  /** PEM, with its key. */
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
}

export class WebhookLogins {
  readonly #users: ReadonlyMap<string, UserProofs>;

  /** Throws ConfigError for a file that is no kubeconfig. */
  constructor(kubeconfig: string) {
    try {
      this.#users = kubeconfigUsers(readFileSync(kubeconfig, "utf8"), dirname(kubeconfig));
    } catch (error) {
      throw new ConfigError(`${kubeconfig}: ${messageOf(error)}`);
    }
  }

  /** @param host `HOST:PORT`, of a Service `NAME.NAMESPACE.svc:PORT`. Throws Error for a file that cannot be read. */
  at(host: string): WebhookLogin {
    const name = userNames(host).find((each) => this.#users.has(each));
    const user = name === undefined ? undefined : this.#users.get(name);
    if (!user) return {};
    const [cert, key, token] = [user.certificate(), user.key(), user.token()];
    const { username, password } = user.password ?? {};
    return {
      authorization: token
        ? `Bearer ${token}`
        : user.password && `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`,
      certificate: cert && key ? { cert, key } : undefined,
    };
  }
}

/** What the user for a server may be called, the first that there is counts: its name, `*.` and the end of its name, both
 *  also without the usual port, `*`, and the user of the current context. */
function userNames(host: string): string[] {
  const withoutPort = host.endsWith(":443") ? [host.slice(0, -":443".length)] : [];
  return [...[host, ...withoutPort].flatMap((each) => [each, ...endsOf(each)]), "*", ""];
}

function endsOf(host: string): string[] {
  const steps = host.split(".");
  return steps.slice(1).map((_, index) => `*.${steps.slice(index + 1).join(".")}`);
}
