import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linuxHost } from "#agent/host/linux-host.ts";
import { notFound } from "#shared/api/errors.ts";
import { configMaps } from "#shared/api/resources.ts";
import type { ConfigMap, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import { Checkpoint } from "../checkpoint.ts";
import type { PodFacts } from "../container/field-ref.ts";
import { BoundVolumes } from "./bound-volumes.ts";
import { ServiceAccountTokens } from "./service-account-token.ts";
import { pluginOf } from "./volume-counts.ts";
import { VolumesError } from "./volume-error.ts";
import { VolumeManager } from "./volume-manager.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "volume-manager-"));
});
afterEach(() => rm(folder, { recursive: true }));

function facts(volumes: NonNullable<Pod["spec"]["volumes"]>): PodFacts {
  const metadata = { name: "pod", namespace: "test", uid: "uid-1", labels: { a: "1" } };
  const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }));
  const spec = { containers: [{ name: "main", volumeMounts }], volumes };
  const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata, spec };
  return { pod, podIPs: [], hostIPs: [], allocatable: {} };
}

const plain = (_: string, content: Buffer): Buffer => content;

function manager(maps: Map<string, ConfigMap>): VolumeManager {
  const client = {} as Client;
  return new VolumeManager({
    releaseImages: () => Promise.resolve(),
    host: linuxHost(),
    client,
    root: folder,
    nodeName: "a",
    node: () => undefined,
    events: { record: () => undefined },
    bound: new BoundVolumes(
      client,
      new Checkpoint(join(folder, "checkpoint"), silentLog, { open: plain, close: plain }),
    ),
    objects: {
      async configMap(_, name) {
        const map = maps.get(name);
        if (!map) throw notFound(configMaps, name);
        return map;
      },
      secret: async (_, name) => Promise.reject(notFound({ group: "", plural: "secrets" }, name)),
    },
    tokens: new ServiceAccountTokens(client, undefined),
    podsFolder: join(folder, "pods"),
    volatileFolder: join(folder, "volatile"),
    log: silentLog,
  });
}

const map = (a: string): ConfigMap => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "map" }, data: { a } });
const labels = {
  name: "labels",
  downwardAPI: { items: [{ path: "a", fieldRef: { fieldPath: "metadata.labels['a']" } }] },
};
const files = { name: "files", configMap: { name: "map" } };

test("what shows API objects is read-only, and what is the pod's own is not", async () => {
  const given = facts([labels, files, { name: "own", emptyDir: {} }]);
  const mounted = await manager(new Map([["map", map("1")]])).mount(given);
  expect([...mounted].map(([name, { readOnly }]) => [name, readOnly])).toEqual([
    ["labels", true],
    ["files", true],
    ["own", false],
  ]);
});

test.skipIf(process.getuid?.() !== 0)(
  "a volume of API objects is its group's from its top on, whatever was there",
  async () => {
    const given = facts([labels, files]);
    given.pod.spec.securityContext = { fsGroup: 4321, fsGroupChangePolicy: "OnRootMismatch" };
    const maps = new Map([["map", map("1")]]);
    const volumes = manager(maps);
    const mounted = await volumes.mount(given);
    maps.set("map", map("2"));
    await volumes.refresh(given);
    const of = async (name: string, file = ""): Promise<number[]> => {
      const { gid, mode } = await stat(join(mounted.get(name)?.path ?? "", file));
      return [gid, mode & 0o7777];
    };
    expect(await of("files")).toEqual([4321, 0o2777]);
    expect(await of("labels")).toEqual([4321, 0o3777]);
    expect(await of("files", "a")).toEqual([4321, 0o644]);
  },
);

test("a volume whose object has gone stays as it is, and the others follow", async () => {
  const maps = new Map([["map", map("1")]]);
  const volumes = manager(maps);
  await expect(manager(new Map()).mount(facts([files]))).rejects.toThrow(
    'MountVolume.SetUp failed for volume "files" : configmaps "map" not found',
  );
  const before = await volumes.mount(facts([files, labels]));
  maps.clear();
  expect(await volumes.mount(facts([files, labels]))).toEqual(before);

  const changed = facts([files, labels]);
  changed.pod.metadata.labels = { a: "2" };
  await expect(volumes.refresh(changed)).rejects.toBeInstanceOf(VolumesError);
  const shown = (name: string): Promise<string> => readFile(join(before.get(name)?.path ?? "", "a"), "utf8");
  expect([await shown("files"), await shown("labels")]).toEqual(["1", "2"]);
});

test("each volume that cannot be had is told with all that it lacks, the others are there, and what nothing mounts is left alone", async () => {
  const volumes = manager(new Map());
  const sources = [{ configMap: { name: "x" } }, { secret: { name: "y" } }, { configMap: { name: "x" } }];
  const given = facts([files, { name: "several", projected: { sources } }, labels]);
  given.pod.spec.volumes?.push({ name: "unused", configMap: { name: "absent" } });
  const failure = await volumes.mount(given).catch((error: unknown) => error);
  expect((failure as VolumesError).failures.map(({ message }) => message)).toEqual([
    'MountVolume.SetUp failed for volume "files" : configmaps "map" not found',
    'MountVolume.SetUp failed for volume "several" : [configmaps "x" not found, secrets "y" not found]',
  ]);
  expect((await volumes.mount(facts([labels]))).size).toBe(1);
  const shown = join(folder, "volatile/uid-1/volumes/kubernetes.io~downward-api/labels/a");
  expect(await readFile(shown, "utf8")).toBe("1");
});

test.skipIf(process.getuid?.() !== 0 || !existsSync("/sys/kernel/mm/hugepages/hugepages-2048kB"))(
  "huge pages are mounted as the medium says, once, and taken off with the pod",
  async () => {
    const given = facts([{ name: "huge", emptyDir: { medium: "HugePages-2Mi" } }]);
    given.pod.spec.containers.push({ name: "c", resources: { limits: { "hugepages-2Mi": "4Mi" } } });
    const volumes = manager(new Map());
    const path = (await volumes.mount(given)).get("huge")?.path;
    await volumes.mount(given);
    const mounted = linuxHost()
      .mounts()
      .filter((each) => each.path === path);
    expect(mounted.map(({ type }) => type)).toEqual(["hugetlbfs"]);
    await volumes.unmount("uid-1");
    expect(linuxHost().isMountPoint(path ?? "")).toBe(false);
  },
);

test("what is mounted is told by what serves it, and how often it came to nothing", async () => {
  const volumes = manager(new Map());
  const given = facts([
    labels,
    files,
    { name: "own", emptyDir: {} },
    { name: "data", persistentVolumeClaim: { claimName: "data" } },
  ]);
  const told = async (pod: Pod = given.pod): Promise<string[]> =>
    renderPrometheus(await volumes.families([pod]))
      .split("\n")
      .filter((line) => line.startsWith("volume_manager") || line.includes("_count{"));
  await expect(volumes.mount(given)).rejects.toThrow("not found");
  const desired = ["downward-api", "configmap", "empty-dir"].map(
    (plugin) => `volume_manager_total_volumes{plugin_name="kubernetes.io/${plugin}",state="desired_state_of_world"} 1`,
  );
  expect(await told()).toEqual(
    expect.arrayContaining([
      'storage_operation_duration_seconds_count{volume_plugin="kubernetes.io/downward-api",operation_name="volume_mount",status="success",migrated="false"} 1',
      'storage_operation_duration_seconds_count{volume_plugin="kubernetes.io/configmap",operation_name="volume_mount",status="fail-unknown",migrated="false"} 1',
      'volume_manager_total_volumes{plugin_name="kubernetes.io/downward-api",state="actual_state_of_world"} 1',
      'volume_manager_total_volumes{plugin_name="N/A",state="desired_state_of_world"} 1',
      ...desired,
    ]),
  );
  expect((await told()).join("\n")).not.toContain('configmap",state="actual');
  // Of an earlier run of the agent, which mounted all of it.
  const status = { containerStatuses: [{ name: "c", state: { running: {} } }] } as unknown as NonNullable<
    Pod["status"]
  >;
  expect(await told({ ...given.pod, status })).toContain(
    'volume_manager_total_volumes{plugin_name="kubernetes.io/configmap",state="actual_state_of_world"} 1',
  );
  await volumes.unmount("uid-1");
  expect(await told()).toContain(
    'storage_operation_duration_seconds_count{volume_plugin="kubernetes.io/downward-api",operation_name="volume_unmount",status="success",migrated="false"} 1',
  );
  expect((await told()).join("\n")).not.toContain('state="actual');
});

test("volumes of claims are told by the driver behind them", () => {
  expect(pluginOf({ name: "v", csi: { driver: "disk.example.org" } })).toBe("kubernetes.io/csi:disk.example.org");
  expect(pluginOf({ local: { path: "/srv" } })).toBe("kubernetes.io/local-volume");
  expect(pluginOf({ name: "v", persistentVolumeClaim: { claimName: "c" } })).toBeUndefined();
});
