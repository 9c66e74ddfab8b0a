import { join } from "node:path";
import { openCacheFiles } from "#agent/checkpoint/cache-files.ts";
import { Seal } from "#agent/checkpoint/seal.ts";
import { Checkpoint } from "#agent/kubelet/checkpoint.ts";
import { Masters } from "#agent/masters.ts";
import type { Log } from "#shared/client/log.ts";
import { BoardIdentity } from "#shared/pki/board-identity.ts";
import { boardSerial } from "#shared/pki/board-serial.ts";
import { certificateFingerprint } from "#shared/pki/certificate-facts.ts";

/** Everything that an agent keeps on its card, opened as `startAgent` opens it. */
export async function openAgentImage(dataDir: string, servers: readonly string[], token: string | undefined, log: Log) {
  const folder = join(dataDir, "agent");
  const masters = new Masters({
    configured: servers,
    brokers: [],
    mqttPort: 8883,
    folder,
    ownAddresses: () => [],
    log,
  });
  const serial = await boardSerial(dataDir, []);
  const identity = await BoardIdentity.ensure({
    folder: join(folder, "identity"),
    servers,
    token,
    boardSerial: serial,
    hostName: "board",
    log,
  });
  const cluster = certificateFingerprint(identity.caCertificatePem);
  const seal = await Seal.open(join(folder, "identity", "checkpoint.key"), cluster);
  const caches = openCacheFiles(folder, seal, log);
  const checkpoint = new Checkpoint(join(folder, "checkpoint"), log, seal);
  return { identity, masters, seal, caches, checkpoint, serial };
}

export const cacheName = "|v1|services|||";
