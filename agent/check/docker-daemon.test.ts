import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  adviseDocker,
  type DockerAdvice,
  type DockerDaemonFacts,
  overlap,
  withDaemonSettings,
  writeDaemonSettings,
} from "./docker-daemon.ts";
import { mountOf, parseMounts } from "./mounts.ts";

const sound: DockerDaemonFacts = {
  file: "/etc/docker/daemon.json",
  settings: { "log-opts": { "max-size": "10m" } },
  flags: [],
  logDriver: "json-file",
  storageDriver: "overlay2",
  cgroupDriver: "systemd",
  cgroupVersion: "2",
  isLiveRestored: true,
  isInSwarm: false,
  dataRoot: "/var/lib/docker",
  isOnCard: true,
  otherDisk: undefined,
  hasSystemd: true,
  networks: [{ name: "bridge", cidr: "172.17.0.0/16" }],
  pools: [],
  clusterNetworks: [
    { name: "cluster-cidr", cidr: "10.42.0.0/16" },
    { name: "service-cidr", cidr: "10.43.0.0/16" },
  ],
};
const faults = (changed: Partial<DockerDaemonFacts>): DockerAdvice[] =>
  adviseDocker({ ...sound, ...changed }).filter(({ level }) => level !== "ok");

describe("Docker's settings", () => {
  test("that are sound leave nothing to say", () => {
    expect(faults({})).toEqual([]);
  });

  test("logs without bound get the line that bounds them, unless a flag or another driver does", () => {
    const [fault] = faults({ settings: {} });
    expect(fault?.mend).toStartWith('"log-opts": {"max-size": "10m","max-file": "3"} in /etc/docker/daemon.json');
    expect(fault?.change).toEqual({ "log-opts": { "max-size": "10m", "max-file": "3" } });
    expect(faults({ settings: {}, flags: ["--log-opt", "max-size=10m"] })).toEqual([]);
    expect(faults({ settings: {}, flags: ["--log-opt=max-size=10m"] })).toEqual([]);
    expect(faults({ settings: {}, logDriver: "journald" })).toEqual([]);
  });

  test("a setting that is a flag too would keep Docker from starting, and is not written", () => {
    expect(faults({ settings: {}, flags: ["--log-opt", "labels=a"] })[0]?.change).toBeUndefined();
    expect(faults({ isLiveRestored: false, flags: ["--live-restore=false"] })[0]?.change).toBeUndefined();
  });

  test("live-restore is switched on, but not in a swarm", () => {
    expect(faults({ isLiveRestored: false })[0]).toMatchObject({
      change: { "live-restore": true },
      mend: '"live-restore": true in /etc/docker/daemon.json, then sudo systemctl reload docker',
    });
    expect(faults({ isLiveRestored: false, isInSwarm: true })[0]).toMatchObject({ mend: "docker swarm leave" });
  });

  test("a poor storage driver, cgroupfs beside systemd, and a card beside a disk are named", () => {
    expect(faults({ storageDriver: "vfs" })[0]?.mend).toContain('"storage-driver": "overlay2"');
    expect(faults({ cgroupDriver: "cgroupfs" })[0]?.mend).toContain("native.cgroupdriver=systemd");
    expect(faults({ cgroupDriver: "cgroupfs", hasSystemd: false })).toEqual([]);
    expect(faults({ otherDisk: "/mnt/ssd" })[0]?.mend).toContain('"data-root": "/mnt/ssd/docker"');
  });

  test("a network with addresses of the cluster fails, a pool in which they lie is noted", () => {
    const networks = [{ name: "mine", cidr: "10.42.7.0/24" }];
    expect(faults({ networks })).toMatchObject([
      { level: "FAIL", finding: expect.stringContaining('"mine" (10.42.7.0/24)') },
    ]);
    expect(faults({ pools: ["10.0.0.0/8"] }).map(({ level }) => level)).toEqual(["note", "note"]);
  });

  test("a file that is no JSON is said, and nothing is offered", () => {
    expect(faults({ settings: undefined })).toMatchObject([{ subject: "Docker's settings" }]);
  });
});

test.each([
  ["10.42.0.0/16", "10.42.255.0/24", true],
  ["10.42.255.0/24", "10.42.0.0/16", true],
  ["10.42.0.0/16", "10.43.0.0/16", false],
  ["fd42::/56", "fd42:0:0:1::/64", true],
  ["fd42::/56", "10.42.0.0/16", false],
])("%s and %s overlap: %p", (one, other, expected) => {
  expect(overlap(one, other)).toBe(expected);
});

describe("writing them", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-daemon-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "daemon.json");
  const read = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

  test("what is there stays, also within a mapping", () => {
    const present = { debug: true, "log-opts": { "max-file": "9", tag: "x" } };
    expect(withDaemonSettings(present, { "log-opts": { "max-size": "10m", "max-file": "3" } })).toEqual({
      debug: true,
      "log-opts": { "max-size": "10m", "max-file": "9", tag: "x" },
    });
  });

  test("makes the file, and keeps the first state of one that is there", async () => {
    await writeDaemonSettings(file, { "live-restore": true });
    expect(read(file)).toEqual({ "live-restore": true });
    await writeDaemonSettings(file, { debug: true });
    await writeDaemonSettings(file, { debug: false });
    expect(read(`${file}.before-bramble`)).toEqual({ "live-restore": true });
    expect(read(file)).toEqual({ "live-restore": true, debug: false });
  });

  test("leaves a file alone that it does not understand", async () => {
    writeFileSync(file, "{ // mine");
    await expect(writeDaemonSettings(file, { debug: true })).rejects.toThrow("is no JSON object");
    expect(readFileSync(file, "utf8")).toBe("{ // mine");
  });
});

test("mounts are read with their blanks, and the last of a place counts", () => {
  const mounts = parseMounts(
    [
      "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw",
      "30 22 8:1 / /mnt/my\\040disk rw shared:2 - ext4 /dev/sda1 rw",
      "31 22 0:9 / /etc ro - overlay overlay rw",
      "32 22 8:2 / /data rw - ext4 /dev/sda2 ro",
    ].join("\n"),
  );
  expect(mountOf("/var/lib", mounts)?.device).toBe("/dev/mmcblk0p2");
  expect(mountOf("/mnt/my disk/x", mounts)?.device).toBe("/dev/sda1");
  expect(mountOf("/mnt/my diskette", mounts)?.point).toBe("/");
  expect(mounts.map(({ isReadOnly }) => isReadOnly)).toEqual([false, false, true, true]);
});
