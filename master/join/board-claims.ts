import { isAlreadyExists, isConflict, isNotFound } from "#shared/api/errors.ts";
import { configMaps, nodes } from "#shared/api/resources.ts";
import type { ConfigMap } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type Claim, chooseNodeName, claimWithoutNode_ms } from "./node-name.ts";

const key = { namespace: "kube-system", name: "bramble-boards" };
const attempts = 20;

/**
 * Which board has which node name, in the ConfigMap kube-system/bramble-boards (`data.<name>` is the board's serial and
 * the time it was claimed). Two boards that ask at once are kept apart by the ConfigMap's resourceVersion.
 */
export class BoardClaims {
  constructor(
    private readonly client: Client,
    private readonly masterNames: readonly string[] = [],
    private readonly now_ms: () => number = Date.now,
  ) {}

  /** The name of a board, claimed for it if it is new. undefined when there is no name left for it. */
  async nameOf(hostName: string, boardSerial: string): Promise<string | undefined> {
    for (let attempt = 1; ; attempt++) {
      const [found, names] = await Promise.all([this.#read(), this.#nodeNames()]);
      const claims = claimsOf(found);
      const now_ms = this.now_ms();
      const nodeExists = (name: string) => names.has(name);
      const { masterNames } = this;
      const name = chooseNodeName({ hostName, boardSerial, claims, nodeExists, masterNames, now_ms });
      if (name === undefined || claims[name]?.boardSerial === boardSerial) return name;
      const kept = Object.entries(claims).filter(
        ([other, claim]) => nodeExists(other) || now_ms - claim.claimed_ms <= claimWithoutNode_ms,
      );
      try {
        await this.#write(found, { ...Object.fromEntries(kept), [name]: { boardSerial, claimed_ms: now_ms } });
        return name;
      } catch (error) {
        if (!(isConflict(error) || isAlreadyExists(error)) || attempt >= attempts) throw error;
      }
    }
  }

  /** Notes which board has a name, where nobody is known to: a master's own board was a node before it could ask. */
  async claim(name: string, boardSerial: string): Promise<void> {
    const found = await this.#read();
    const claims = claimsOf(found);
    if (claims[name]) return;
    try {
      await this.#write(found, { ...claims, [name]: { boardSerial, claimed_ms: this.now_ms() } });
    } catch (error) {
      // It asks again at its next start.
      if (!(isConflict(error) || isAlreadyExists(error))) throw error;
    }
  }

  /** The serial of the board that has a node name. */
  async holderOf(nodeName: string): Promise<string | undefined> {
    return claimsOf(await this.#read())[nodeName]?.boardSerial;
  }

  async #read(): Promise<ConfigMap | undefined> {
    try {
      return await this.client.get(configMaps, key);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #nodeNames(): Promise<Set<string>> {
    const { items } = await this.client.list(nodes);
    return new Set(items.map((node) => node.metadata.name ?? ""));
  }

  async #write(found: ConfigMap | undefined, claims: Readonly<Record<string, Claim>>): Promise<void> {
    const data = Object.fromEntries(
      Object.entries(claims).map(([name, { boardSerial, claimed_ms }]) => [
        name,
        JSON.stringify({ boardSerial, claimed: new Date(claimed_ms).toISOString() }),
      ]),
    );
    if (found) await this.client.update(configMaps, { ...found, data });
    else await this.client.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: { ...key }, data }, key);
  }
}

function claimsOf(found: ConfigMap | undefined): Record<string, Claim> {
  return Object.fromEntries(
    Object.entries(found?.data ?? {}).flatMap(([name, text]) => {
      const claim = parseClaim(text);
      return claim ? [[name, claim]] : [];
    }),
  );
}

/** An entry that people made unreadable counts as none. */
function parseClaim(text: string): Claim | undefined {
  try {
    const { boardSerial, claimed } = JSON.parse(text) as { boardSerial?: unknown; claimed?: unknown };
    if (typeof boardSerial !== "string" || typeof claimed !== "string") return undefined;
    return { boardSerial, claimed_ms: Date.parse(claimed) || 0 };
  } catch {
    return undefined;
  }
}
