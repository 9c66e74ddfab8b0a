import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { loadSettings } from "#shared/config/load.ts";
import { type MasterSettings, masterOptions } from "#shared/config/settings.ts";
import { clientUrlsOf, etcdPaths, keepEtcd, knownEtcd } from "./files.ts";
import { prepareEtcd } from "./prepare.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});
function settings(given: Partial<MasterSettings> = {}): MasterSettings {
  const dataDir = mkdtempSync(join(tmpdir(), "bramble-etcd-prepare-"));
  folders.push(dataDir);
  const flags = { "data-dir": dataDir, store: "etcd" };
  return { ...(loadSettings(masterOptions, flags, undefined) as MasterSettings), ...given };
}
const address = "192.0.2.1";
const own = `https://${address}:2379`;

test("the first master's etcd is a cluster of one member, however often it is prepared", async () => {
  const first = settings();
  for (let time = 0; time < 2; time += 1) await prepareEtcd(first, address, silentLog);
  expect(knownEtcd(first.dataDir)).toEqual({ members: [own], cluster: undefined });
  expect(existsSync(join(first.dataDir, etcdPaths.config))).toBe(true);
});

test("a cluster does not begin anew where its data are lost, nor where others were to be joined", async () => {
  const lost = settings();
  await keepEtcd(lost.dataDir, { members: [own], cluster: "abc" });
  await expect(prepareEtcd(lost, address, silentLog)).rejects.toThrow(/data of etcd are gone.*bramble restore/);
  const further = settings({ server: ["https://192.0.2.2:6443"] });
  await expect(prepareEtcd(further, address, silentLog)).rejects.toThrow(/192\.0\.2\.2.*not known here/);
  expect(existsSync(join(further.dataDir, etcdPaths.config))).toBe(false);
});

test("a member is asked where it says, and where its peers find it: it may not have started, or have another address since", () => {
  const member = { id: 1n, name: "", peerUrls: ["https://[2001:db8::1]:2380"], clientUrls: [], isLearner: true };
  expect(clientUrlsOf(member)).toEqual(["https://[2001:db8::1]:2379"]);
  expect(clientUrlsOf({ ...member, clientUrls: [own] })).toEqual([own, "https://[2001:db8::1]:2379"]);
  expect(clientUrlsOf({ ...member, clientUrls: [own], peerUrls: [`https://${address}:2380`] })).toEqual([own]);
});
