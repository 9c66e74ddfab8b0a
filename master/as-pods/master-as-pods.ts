/** A master whose control plane runs as static pods of its own kubelet; the process on the board is the kubelet alone. */
import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { asPodsFolder } from "#shared/board/component-pod.ts";
import type { StartAgent } from "#shared/board/start-agent.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import { configurationText } from "#shared/config/document.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import { BoardIdentity } from "#shared/pki/board-identity.ts";
import { nodeSubject } from "#shared/pki/board-join.ts";
import { boardSerial } from "#shared/pki/board-serial.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { formatJoinToken } from "#shared/pki/join-token.ts";
import { noteProcess } from "#shared/process/process-note.ts";
import { collectWhenQuiet } from "#shared/process/quiet-collection.ts";
import { untilSignalled } from "#shared/process/signals.ts";
import { ensureKeysWhole } from "../backup/key-recovery.ts";
import { clusterSettings } from "../join/cluster-settings.ts";
import { joinedSettings } from "../join/control-plane.ts";
import { nodeNameFrom } from "../join/node-name.ts";
import { advertisedAddress } from "../own-address.ts";
import { markControlPlane } from "../own-board.ts";
import { MasterKeys } from "../pki/master-keys.ts";
import { pkiOptionsOf } from "../serving.ts";
import { componentIdentities } from "./component-identities.ts";
import { controlPlanePods, renderSettings } from "./control-plane-pods.ts";

const retry_ms = 2_000;

/** `bramble master --as-pods`: makes keys and manifests, and runs the kubelet until it is told to end. Pods go on. */
export async function runMasterAsPods(given: MasterSettings, startAgent: StartAgent | undefined): Promise<void> {
  const log = stderrLog(given.logLevel);
  if (!startAgent) throw new ConfigError("as-pods: the pods need an agent on this board; leave --no-agent out");
  mkdirSync(given.dataDir, { recursive: true, mode: 0o700 });
  mkdirSync(given.runDir, { recursive: true, mode: 0o755 });
  const settings = await joinedSettings(given, log);
  await ensureKeysWhole(settings, log);
  const address = advertisedAddress(settings);
  const keys = await MasterKeys.open(() => pkiOptionsOf(settings, address, componentIdentities), log.named("keys"));
  // A further master's board joins by the others: they know which names are taken.
  if (settings.server.length === 0) await provideIdentity(settings, keys);
  const forget = noteProcess(given.runDir, "master");

  // As it was given: components take over themselves what the masters share. This process has joined, if it had to.
  const content = renderSettings({ ...given, token: "" });
  const path = join(settings.dataDir, asPodsFolder, "config.yaml");
  if ((await readIfPresent(path)) !== content) await writeSecureFile(path, content);
  const own = `https://127.0.0.1:${settings.httpsPort}`;
  const ended = untilSignalled();
  const ending = new AbortController();
  const starting = startAgent({
    settings,
    servers: [own, ...settings.server],
    token: formatJoinToken(keys.current.joinToken),
    brokers: [`mqtts://localhost:${settings.mqttPort}`],
    disabled: [...settings.disable, "upgrade", "mdns"],
    componentPods: controlPlanePods(settings, { path, content }, await keyServiceFolders(settings)),
  });
  starting
    .then(({ nodeName }) => markOwnBoard(settings, nodeName, ending.signal, log))
    .catch((error: unknown) => log.error("this board's agent did not start", { error }));
  const stopCollecting = collectWhenQuiet();
  const signal = await ended;
  log.info("ending; pods go on, those of the control plane too", { signal });
  stopCollecting();
  ending.abort();
  await (await starting.catch(() => undefined))?.stop();
  forget();
}

/** Those that stand in the EncryptionConfiguration at this start. Rejects with ConfigError for one that is no good. */
async function keyServiceFolders({ encryptionProviderConfig: path }: MasterSettings): Promise<string[]> {
  if (!path) return [];
  const { keyServiceSockets, parseEncryptionConfiguration } = await import("../store/encryption/configuration.ts");
  const configuration = parseEncryptionConfiguration(configurationText(path), path);
  return [...new Set(keyServiceSockets(configuration).map((socket) => dirname(socket)))];
}

/** The board of the first master becomes a node before there is an API server: its kubelet is to run that. */
async function provideIdentity(settings: MasterSettings, keys: MasterKeys): Promise<void> {
  const { dataDir } = settings;
  const nodeName = nodeNameFrom(settings.nodeName || hostname());
  const { ca, trusted } = keys.current.authorities;
  await BoardIdentity.provide({
    folder: join(dataDir, "agent", "identity"),
    boardSerial: await boardSerial(dataDir),
    joined: async () => ({
      nodeName,
      settings: clusterSettings(settings),
      caCertificatePem: trusted,
      client: await issueCertificate(ca, nodeSubject(nodeName), [extendedKeyUsages.clientAuth]),
    }),
  });
}

/** Shows the board's role, as soon as there is an API server that takes it. */
async function markOwnBoard(settings: MasterSettings, nodeName: string, signal: AbortSignal, log: Log): Promise<void> {
  const client = new HttpClient(loadKubeconfig(settings.writeKubeconfig));
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      return await markControlPlane(client, nodeName, signal);
    } catch (error) {
      if (failures === 30) log.warn("this board's Node shows no role yet", { error });
      await pause(systemClock, retry_ms, signal).catch(() => undefined);
    }
  }
}
