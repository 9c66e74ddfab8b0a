import { isNotFound } from "#shared/api/errors.ts";
import { csiDrivers } from "#shared/api/resources.ts";
import type { Pod, Secret, SecretReference } from "#shared/api/types/core-v1.generated.ts";
import type { CSIDriver } from "#shared/api/types/storage-v1.generated.ts";
import { type Client, ConnectionError } from "#shared/client/client.ts";
import type { Checkpoint } from "../checkpoint.ts";
import type { ServiceAccountTokens } from "../volumes/service-account-token.ts";
import { VolumePending } from "../volumes/volume-error.ts";
import { tokensKey } from "./csi-requests.ts";

export interface CsiInputsOptions {
  readonly client: Client;
  readonly checkpoint: Pick<Checkpoint, "read" | "save" | "remove">;
  /** A Secret that a driver is to have; kept for when the master is away. */
  secret(namespace: string, name: string): Promise<Secret>;
  readonly tokens: ServiceAccountTokens;
}

/** What a driver is given that only the cluster knows; as last known while the master is away. */
export class CsiInputs {
  constructor(private readonly options: CsiInputsOptions) {}

  /** What the cluster says of the driver; undefined when it says nothing. */
  async describe(name: string): Promise<CSIDriver | undefined> {
    const { client, checkpoint } = this.options;
    const kept = await checkpoint.read("csidrivers", name);
    if (kept && client.isAway) return kept;
    try {
      const about = await client.get(csiDrivers, { name });
      await checkpoint.save("csidrivers", name, about);
      return about;
    } catch (error) {
      if (kept && error instanceof ConnectionError) return kept;
      if (!isNotFound(error)) throw error;
      await checkpoint.remove("csidrivers", name);
      return undefined;
    }
  }

  async secrets(reference: SecretReference | undefined): Promise<Record<string, string>> {
    if (!reference?.name) return {};
    const { namespace = "", name } = reference;
    const { data = {} } = await this.options.secret(namespace, name);
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString("utf8")]),
    );
  }

  /** Tokens of the pod's ServiceAccount, for each audience that the driver asks for. Rejects with VolumePending. */
  async tokens(pod: Pod, about: CSIDriver | undefined): Promise<Record<string, string>> {
    const requests = about?.spec.tokenRequests ?? [];
    if (requests.length === 0) return {};
    const byAudience: Record<string, { token: string; expirationTimestamp: string }> = {};
    for (const { audience, expirationSeconds } of requests) {
      const bound = await this.options.tokens.boundToken(pod, { audience, expirationSeconds });
      if (!bound) throw new VolumePending("the master is away, and it alone gives tokens");
      byAudience[audience] = {
        token: bound.token,
        expirationTimestamp: new Date(bound.expiresAt_ms).toISOString().replace(".000Z", "Z"),
      };
    }
    return { [tokensKey]: JSON.stringify(byAudience) };
  }
}
