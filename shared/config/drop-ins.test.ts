import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readComponentConfiguration } from "./component-configuration.ts";
import { kubeletConfiguration } from "./kubelet-configuration.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-drop-ins-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const head = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n";

function write(path: string, content: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

test("files of a folder change fields, one after the other; lists are taken whole", () => {
  const base = write(
    "base.yaml",
    `${head}maxPods: 50\nclusterDNS: [10.0.0.1]\nevictionHard: {memory.available: 100Mi}\n`,
  );
  write("d/10-first.conf", `${head}maxPods: 60\nclusterDNS: [10.0.0.2, 10.0.0.3]\n`);
  write("d/20-second.conf", `${head}maxPods: 70\nevictionHard: {nodefs.available: 5%}\n`);
  write("d/30-not.yaml", `${head}maxPods: 80\n`);
  write("d/15/more.conf", `${head}podsPerCore: 9\n`);
  expect(readComponentConfiguration(base, kubeletConfiguration, join(folder, "d")).settings).toEqual({
    "max-pods": 70,
    "cluster-dns": ["10.0.0.2", "10.0.0.3"],
    "eviction-hard": ["memory.available<100Mi", "nodefs.available<5%"],
    "pods-per-core": 9,
  });
  const alone = readComponentConfiguration(undefined, kubeletConfiguration, join(folder, "d"));
  expect(alone.settings["eviction-hard"]).toEqual(["nodefs.available<5%"]);
});

test("one that is something else is refused in upstream's words", () => {
  const read = (name: string, content: string): unknown => {
    write(`${name}/x.conf`, content);
    return readComponentConfiguration(undefined, kubeletConfiguration, join(folder, name));
  };
  expect(() => read("a", "maxPods: 1\n")).toThrow("a/x.conf, no apiVersion/kind");
  expect(() => read("b", "apiVersion: v1\nkind: Pod\n")).toThrow("unknown apiVersion/kind: v1, Kind=Pod");
  expect(() => read("c", `${head}maxPods: many\n`)).toThrow("maxPods: expected a whole number");
  expect(() => readComponentConfiguration(undefined, kubeletConfiguration, join(folder, "nowhere"))).toThrow(
    "failed to walk through kubelet dropin directory",
  );
});
