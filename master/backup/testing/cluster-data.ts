/** A master's data folder with a cluster in it, and no master. */
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { loadSettings } from "#shared/config/load.ts";
import { type MasterSettings, masterOptions } from "#shared/config/settings.ts";
import { ensureMasterPki } from "../../pki/master-pki.ts";
import type { EtcdServers } from "../../store/etcd/testing/etcd-server.ts";
import type { Store } from "../../store/store.ts";
import { openStore } from "../../store/store-choice.ts";

export const settingsIn = (folder: string, flags: Record<string, string> = {}): MasterSettings =>
  loadSettings(masterOptions, { "data-dir": folder, "run-dir": folder, ...flags }, undefined) as MasterSettings;

export const etcdFlags = ({ folder }: EtcdServers): Record<string, string> => ({
  "etcd-cafile": join(folder, "ca.crt"),
  "etcd-certfile": join(folder, "client.crt"),
  "etcd-keyfile": join(folder, "client.key"),
});

/** What the Secret of `clusterIn` must not be found by: its text, and as the API has it. */
export const secretTexts = ["hunter2", Buffer.from("hunter2").toString("base64").replace(/=+$/, "")] as const;

/** Keys and a few objects; gives the store, open. */
export async function clusterIn(settings: MasterSettings): Promise<Store> {
  await ensureMasterPki({
    dataDir: settings.dataDir,
    kubeconfigPath: join(settings.dataDir, "kubeconfig.yaml"),
    server: "https://127.0.0.1:6443",
    names: { hostNames: [], addresses: [], extra: [], serviceIp: "10.43.0.1", clusterDomain: "cluster.local" },
  });
  const store = await openStore(settings, silentLog);
  const create = (n: number): Promise<number> => store.create(`/registry/pods/default/p${n}`, `{"n":${n}}`);
  // Few at a time: of a creation that a busy etcd has not answered within seconds, the outcome is not known.
  for (let from = 0; from < 700; from += 50) await Promise.all(Array.from({ length: 50 }, (_, n) => create(from + n)));
  await store.create("/registry/secrets/default/s", '{"data":{"p":"aHVudGVyMg=="},"stringData":{"p":"hunter2"}}');
  await store.create("/registry/events/default/e", '{"kind":"Event"}');
  return store;
}

export const stateOf = async (store: Store): Promise<string[]> =>
  (await store.list("/registry/")).items.map(({ key, value }) => `${key} ${value}`);
