import type { Client } from "#shared/client/client.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { type ClientConfig, loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { version } from "#shared/version.ts";

/** What a person ran cannot go on; the message says what to do. Printed without a stack. */
export class UserError extends Error {
  override readonly name = "UserError";
}

export interface AdminAccess {
  readonly client: Client;
  readonly config: ClientConfig;
  readonly server: string;
}

/** A client with the administrator's rights. Throws UserError when there is no kubeconfig to take them from. */
export function adminAccess(kubeconfig: string): AdminAccess {
  let config: ClientConfig;
  try {
    config = loadKubeconfig(kubeconfig);
  } catch (error) {
    throw new UserError(
      `${(error as Error).message}. Run this on a master as root, or name a kubeconfig with --kubeconfig.`,
    );
  }
  const { servers, credentials } = config;
  return {
    client: new HttpClient({ servers, credentials, userAgent: `bramble/${version}` }),
    config,
    server: servers[0] ?? "",
  };
}
