import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesystemOn, MissingProgram, partitioned } from "#agent/host/filesystem-programs.ts";
import { linuxHost } from "#agent/host/linux-host.ts";
import type { PersistentVolume, PersistentVolumeSpec, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { silentLog } from "#shared/client/log.ts";
import { canUseLoopDevices, LoopDevice } from "../../../test/support/loop-device.ts";
import { removeWithMounts } from "../../../test/support/remove-with-mounts.ts";
import { LocalVolumes } from "./local-volumes.ts";
import { PodFolders } from "./volume-folders.ts";

const MiB = 1024 ** 2;
const host = linuxHost();

/** A type of file system that this machine lets grow while it is mounted: ext4 wants CAP_SYS_RESOURCE, which containers lack. */
function growingType(): string | undefined {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  if ((BigInt(`0x${capabilities}`) >> 24n) & 1n) return "ext4";
  const isKnown = /\sxfs$/m.test(readFileSync("/proc/filesystems", "utf8"));
  return isKnown && Bun.which("mkfs.xfs") && Bun.which("xfs_growfs") ? "xfs" : undefined;
}

/** A master boot record with one partition. */
function partitionTable(): Buffer {
  const sector = Buffer.alloc(512);
  sector[450] = 0x83;
  sector.writeUInt32LE(2048, 454);
  sector.writeUInt32LE(4096, 458);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

function podOf(uid: string, securityContext: Pod["spec"]["securityContext"] = {}): Pod {
  const metadata = { name: uid, namespace: "default", uid };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { containers: [], securityContext } };
}

function volumeOf(path: string, more: Partial<PersistentVolumeSpec> = {}): PersistentVolume {
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: "disk" },
    spec: {
      capacity: { storage: "64Mi" },
      accessModes: ["ReadWriteOnce"],
      local: { path },
      claimRef: { namespace: "default", name: "data" },
      ...more,
    },
  };
}

describe.skipIf(process.getuid?.() !== 0)("local volumes", () => {
  let root: string;
  let told: string[];
  let volumes: LocalVolumes;
  /** What the claim of the volume says of its capacity. */
  let claimed: string;
  const devices: LoopDevice[] = [];

  /** Those of an agent that has just started. */
  const start = (): LocalVolumes =>
    new LocalVolumes({
      host,
      folders: new PodFolders(join(root, "pods"), join(root, "volatile")),
      root,
      nodeName: "a",
      log: silentLog,
      events: { record: ({ kind }, { reason, message }) => void told.push(`${kind} ${reason}: ${message}`) },
      client: {
        isAway: false,
        get: async () => ({
          metadata: { name: "data", namespace: "default" },
          spec: {},
          status: { phase: "Bound", capacity: { storage: claimed } },
        }),
        patch: async (_: unknown, __: unknown, { body }: { body: { status: { capacity: { storage: string } } } }) => {
          claimed = body.status.capacity.storage;
          return { metadata: { name: "data", namespace: "default" } };
        },
      } as unknown as Client,
    });

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "local-volumes-"));
    told = [];
    claimed = "64Mi";
    volumes = start();
  });
  afterEach(() => {
    removeWithMounts(root);
    for (const device of devices.splice(0)) device.detach();
  });

  const globalMount = (): string => join(root, "plugins/kubernetes.io/local-volume/mounts/disk");
  const mountAt = (path: string) => host.mounts().findLast((mount) => mount.path === path);
  const messageOf = async (attempt: Promise<unknown>): Promise<string> =>
    attempt.then(
      () => "mounted",
      (error: Error) => `${error.name}: ${error.message}`,
    );

  test("a folder is shown to each pod, with the volume's own options, and what is in it outlives its pods", async () => {
    const folder = join(root, "data");
    mkdirSync(folder);
    const volume = volumeOf(folder, { mountOptions: ["noexec"] });
    const { path } = await volumes.mount(volume, podOf("one"), false);
    expect(path).toBe(join(root, "pods/one/volumes/kubernetes.io~local-volume/disk"));
    writeFileSync(join(path, "kept"), "x");
    expect(mountAt(path)?.options).toContain("noexec");
    const second = await volumes.mount(volume, podOf("two"), true);
    expect(second.readOnly).toBe(true);
    expect(mountAt(second.path)?.options).toEqual(expect.arrayContaining(["ro", "noexec"]));
    // Again: nothing is mounted a second time.
    await volumes.mount(volume, podOf("one"), false);
    expect(host.mounts().filter((mount) => mount.path === path)).toHaveLength(1);
    for (const uid of ["one", "two"]) await volumes.unmount(uid);
    expect(host.mounts().some((mount) => mount.path.startsWith(root))).toBe(false);
    expect(readFileSync(join(folder, "kept"), "utf8")).toBe("x");
    expect(existsSync(path)).toBe(false);
  });

  test("a folder goes to the group of the first pod; one that wants another is told", async () => {
    const folder = join(root, "data");
    mkdirSync(folder);
    await volumes.mount(volumeOf(folder), podOf("one", { fsGroup: 1234 }), false);
    expect(statSync(folder).gid).toBe(1234);
    await volumes.mount(volumeOf(folder), podOf("same", { fsGroup: 1234 }), false);
    expect(told).toEqual([]);
    await volumes.mount(volumeOf(folder), podOf("two", { fsGroup: 4321 }), false);
    expect(statSync(folder).gid).toBe(1234);
    expect(told).toEqual([
      "Pod AlreadyMountedVolume: The requested fsGroup is 4321, but the volume disk has GID 1234. The volume may not be shareable.",
    ]);
    for (const uid of ["one", "same", "two"]) await volumes.unmount(uid);
    await volumes.mount(volumeOf(folder), podOf("two", { fsGroup: 4321 }), false);
    expect(statSync(folder).gid).toBe(4321);
  });

  test("a volume for one pod is refused to a second, until the first has gone", async () => {
    mkdirSync(join(root, "data"));
    const volume = volumeOf(join(root, "data"), { accessModes: ["ReadWriteOncePod"] });
    await volumes.mount(volume, podOf("one"), false);
    expect(await messageOf(volumes.mount(volume, podOf("two"), false))).toBe(
      'VolumeError: MountVolume.SetUp failed for volume "disk" : volume uses the ReadWriteOncePod access mode and is already in use by another pod',
    );
    await volumes.unmount("one");
    expect(await messageOf(volumes.mount(volume, podOf("two"), false))).toBe("mounted");
  });

  test("what is neither folder nor device, or is not there, is refused in upstream's words", async () => {
    const file = join(root, "file");
    writeFileSync(file, "");
    const refused = 'VolumeError: MountVolume.NewMounter initialization failed for volume "disk" : ';
    const tried = (path: string) => messageOf(volumes.mount(volumeOf(path), podOf("one"), false));
    expect(await tried(file)).toBe(`${refused}only directory and block device are supported`);
    expect(await tried("/no/such")).toBe(`${refused}path "/no/such" does not exist`);
  });

  test("of a program that a board lacks the package is told", () => {
    expect(new MissingProgram("xfs_growfs").message).toBe(
      "executable file not found in $PATH: xfs_growfs; install xfsprogs on this board",
    );
  });

  describe.skipIf(!canUseLoopDevices())("of block devices", () => {
    const growing = growingType();
    const disk = (size_bytes = 64 * MiB): LoopDevice => {
      const device = LoopDevice.attach(join(root, `disk-${devices.length}`), size_bytes);
      devices.push(device);
      return device;
    };

    test("a device without a file system gets one, is mounted once for all pods, and is taken off with the last", async () => {
      const volume = volumeOf(disk().path, { mountOptions: ["noatime"] });
      const one = await volumes.mount(volume, podOf("one", { fsGroup: 1234 }), false);
      expect(mountAt(globalMount())).toMatchObject({ type: "ext4", source: devices[0]?.path });
      expect(mountAt(globalMount())?.options).toContain("noatime");
      expect(statSync(one.path).gid).toBe(1234);
      writeFileSync(join(one.path, "kept"), "x");
      const two = await volumes.mount(volume, podOf("two"), true);
      expect(readFileSync(join(two.path, "kept"), "utf8")).toBe("x");
      expect(() => writeFileSync(join(two.path, "more"), "")).toThrow(/EROFS/);

      await volumes.unmount("one");
      expect(host.isMountPoint(globalMount())).toBe(true);
      await volumes.unmount("two");
      expect(existsSync(globalMount())).toBe(false);
      expect(host.mounts().some((mount) => mount.path.startsWith(root))).toBe(false);

      // What is on it is checked and mounted, not written over.
      await volumes.mount(volume, podOf("three"), false);
      expect(readFileSync(join(globalMount(), "kept"), "utf8")).toBe("x");
    });

    test("an agent that starts anew takes up what is mounted, and takes off what nobody uses", async () => {
      const volume = volumeOf(disk().path);
      await volumes.mount(volume, podOf("one"), false);
      volumes = start();
      await volumes.unmountUnused();
      expect(host.isMountPoint(globalMount())).toBe(true);
      await volumes.mount(volume, podOf("two"), false);
      volumes = start();
      for (const uid of ["one", "two"]) await volumes.unmount(uid);
      expect(host.isMountPoint(globalMount())).toBe(false);

      // After a crash in between: mounted for a pod that is not known any more.
      await volumes.mount(volume, podOf("three"), false);
      const left = join(root, "pods/three");
      host.unmountTree(left);
      removeWithMounts(left);
      await start().unmountUnused();
      expect(existsSync(globalMount())).toBe(false);
    });

    test("a board that lost its power mounts again for the pods that it knows", async () => {
      const volume = volumeOf(disk().path);
      await volumes.mount(volume, podOf("one"), false);
      writeFileSync(join(globalMount(), "kept"), "x");
      host.unmountTree(root);
      volumes = start();
      const { path } = await volumes.mount(volume, podOf("one"), false);
      expect(readFileSync(join(path, "kept"), "utf8")).toBe("x");
    });

    test("what holds another file system, or partitions, is refused and left as it is", async () => {
      const { path } = disk();
      execFileSync("mkfs.ext4", ["-q", "-F", path]);
      const asXfs = volumeOf(path, { local: { path, fsType: "xfs" } });
      const refusal = await messageOf(volumes.mount(asXfs, podOf("one"), false));
      const about = `local: failed to mount device ${path} at ${globalMount()} (fstype: xfs), error mount failed: exit status 32`;
      const command = `Mounting command: mount\nMounting arguments: -t xfs -o defaults ${path} ${globalMount()}\nOutput: `;
      expect(refusal).toStartWith(
        `VolumeError: MountVolume.MountDevice failed for volume "disk" : ${about}\n${command}`,
      );
      expect(told[0]).toStartWith(
        `PersistentVolume FailedMountOnFilesystemMismatch: MountVolume failed for volume "disk" ${about}`,
      );
      expect(await filesystemOn(path)).toBe("ext4");
      expect(existsSync(globalMount())).toBe(false);

      const parts = disk();
      writeFileSync(parts.path, partitionTable());
      await messageOf(volumes.mount(volumeOf(parts.path), podOf("two"), false));
      expect(await filesystemOn(parts.path)).toBe(partitioned);
    });

    test("an empty device is not formatted to be read only, nor with what the board does not have", async () => {
      const { path } = disk();
      const start = `VolumeError: MountVolume.MountDevice failed for volume "disk" : local: failed to mount device ${path} at ${globalMount()}`;
      expect(await messageOf(volumes.mount(volumeOf(path), podOf("one"), true))).toBe(
        `${start} (fstype: ext4), error cannot mount unformatted disk ${path} as we are manipulating it in read-only mode`,
      );
      const odd = volumeOf(path, { local: { path, fsType: "nosuchfs" } });
      expect(await messageOf(volumes.mount(odd, podOf("one"), false))).toBe(
        `${start} (fstype: nosuchfs), error format of disk "${path}" failed: type:("nosuchfs") target:("${globalMount()}") options:("defaults") errcode:(executable file not found in $PATH: mkfs.nosuchfs) output:() `,
      );
      expect(await filesystemOn(path)).toBe("");
    });

    test("errors that a power cut left are mended before it is mounted; those that cannot be are told", async () => {
      const { path } = disk();
      execFileSync("mkfs.ext4", ["-q", "-F", path]);
      // A file system that is not clean, and counts wrongly.
      execFileSync("debugfs", ["-w", "-R", "ssv free_blocks_count 1", path], { stdio: "pipe" });
      execFileSync("debugfs", ["-w", "-R", "ssv state 2", path], { stdio: "pipe" });
      await volumes.mount(volumeOf(path), podOf("one"), false);
      await volumes.unmount("one");
      expect(execFileSync("dumpe2fs", ["-h", path], { encoding: "utf8", stdio: "pipe" })).toMatch(/state: +clean/);

      // The root directory is gone: that wants somebody's word.
      execFileSync("debugfs", ["-w", "-R", "clri <2>", path], { stdio: "pipe" });
      execFileSync("debugfs", ["-w", "-R", "ssv state 2", path], { stdio: "pipe" });
      expect(await messageOf(volumes.mount(volumeOf(path), podOf("one"), false))).toContain(
        `error 'fsck' found errors on device ${path} but could not correct them: `,
      );
    });

    test.skipIf(!growing)("a device that has become larger is grown under its pod, and the claim is told", async () => {
      const device = disk(400 * MiB);
      const local = { path: device.path, ...(growing ? { fsType: growing } : {}) };
      const { path } = await volumes.mount(volumeOf(device.path, { local }), podOf("one"), false);
      const before = await host.statfs(path);
      device.grow(600 * MiB);
      const larger = volumeOf(device.path, { local, capacity: { storage: "600Mi" } });
      await volumes.mount(larger, podOf("one"), false);
      expect((await host.statfs(path)).capacity_bytes).toBeGreaterThan(before.capacity_bytes + 150 * MiB);
      expect(claimed).toBe("600Mi");
      const message = 'MountVolume.NodeExpandVolume succeeded for volume "disk" a';
      expect(told).toContain(`Pod FileSystemResizeSuccessful: ${message}`);
      expect(volumes.refreshAt_ms("one")).toBeGreaterThan(Date.now());
      await volumes.unmount("one");
      expect(volumes.refreshAt_ms("one")).toBeUndefined();
    });

    test("as a block device a volume is its device, and grows by itself", async () => {
      const { path } = disk();
      const block = volumeOf(path, { volumeMode: "Block", capacity: { storage: "128Mi" } });
      expect(await volumes.mount(block, podOf("one"), false)).toMatchObject({ path, block: true });
      expect(claimed).toBe("128Mi");
      expect(readdirSync(root)).not.toContain("pods");
      expect(await filesystemOn(path)).toBe("");
    });
  });
});
