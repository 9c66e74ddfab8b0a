import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { silentLog } from "#shared/client/log.ts";
import { Allocations } from "./allocations.ts";
import { BoardDevices } from "./board-devices.ts";
import { DeviceManager } from "./device-manager.ts";

let root: string;
let manager: DeviceManager;
let devices: BoardDevices;
let now_ms: number;
let changes: number;
let looks: number;

beforeEach(() => {
  root = `${mkdtempSync(join(tmpdir(), "bramble-board-devices-"))}/`;
  now_ms = 0;
  changes = 0;
  looks = 0;
  manager = new DeviceManager(
    new Allocations(join(root, "checkpoint"), silentLog),
    silentLog,
    () => changes++,
    () => now_ms,
  );
  devices = new BoardDevices(manager, root);
});
afterEach(async () => {
  // Writes follow one another: none comes after this one.
  await manager.allocations.save(new Map());
  rmSync(root, { recursive: true });
});

const look = (): Promise<void> => devices.update(String(looks++));

function file(path: string, content = ""): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

function device(name: string): void {
  mkdirSync(dirname(join(root, "dev", name)), { recursive: true });
  symlinkSync("/dev/null", join(root, "dev", name));
}

/** A USB device at a port, with the device files of its parts: by path below its folder. */
function plug(port: string, ids: string, files: Readonly<Record<string, string>>, interfaceClass = "ff"): void {
  const folder = `sys/bus/usb/devices/${port}`;
  const [vendor = "", product = ""] = ids.split(":");
  file(`${folder}/idVendor`, `${vendor}\n`);
  file(`${folder}/idProduct`, `${product}\n`);
  file(`${folder}/bDeviceClass`, "00\n");
  file(`${folder}/${port}:1.0/bInterfaceClass`, `${interfaceClass}\n`);
  // The kernel's links lead out of the device, round in circles.
  symlinkSync(join(root, "sys/bus/usb/devices"), join(root, folder, "subsystem"));
  for (const [path, name] of Object.entries(files)) {
    file(join(folder, path, "uevent"), `MAJOR=1\nDEVNAME=${name}\n`);
    device(name);
  }
}

function unplug(port: string, ...files: string[]): void {
  rmSync(join(root, "sys/bus/usb/devices", port), { recursive: true });
  for (const each of files) rmSync(join(root, "dev", each));
}

const capacity = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(manager.counts().capacity).map(([name, count]) => [name.replace("board.bramble.dev/", ""), count]),
  );

function pod(uid: string, limits: Readonly<Record<string, string>>): Pod {
  const named = Object.fromEntries(Object.entries(limits).map(([name, n]) => [`board.bramble.dev/${name}`, n]));
  const containers = [{ name: "main", image: "x", resources: { limits: named } }];
  return { apiVersion: "v1", kind: "Pod", metadata: { name: uid, uid }, spec: { containers } } as Pod;
}

/** What a pod finds in its /dev at a start. */
async function filesOf(uid: string): Promise<string[]> {
  const allocations = await manager.forStart(uid, "main");
  return allocations.flatMap(({ response }) => response.devices.map(({ containerPath }) => containerPath));
}

test("buses and lines are shared in slots, each with all files", async () => {
  for (const name of ["gpiochip0", "gpiochip1", "gpiomem", "i2c-1", "i2c-20", "mem", "null"]) device(name);
  await look();
  expect(capacity()).toEqual({ gpio: "10", i2c: "10" });

  await manager.allocate(pod("a", { gpio: "1", i2c: "1" }));
  await manager.allocate(pod("b", { gpio: "1" }));
  expect(await filesOf("a")).toEqual(["/dev/gpiochip0", "/dev/gpiochip1", "/dev/gpiomem", "/dev/i2c-1", "/dev/i2c-20"]);
  expect(await filesOf("b")).toEqual(["/dev/gpiochip0", "/dev/gpiochip1", "/dev/gpiomem"]);
  const [given] = await manager.forStart("b", "main");
  expect(given?.response.devices[0]).toEqual({
    containerPath: "/dev/gpiochip0",
    hostPath: `${root}dev/gpiochip0`,
    permissions: "rw",
  });
  await expect(manager.allocate(pod("c", { gpio: "9" }))).rejects.toThrow("Requested: 9, Available: 8");
});

test("each USB device is one pod's, with all of its files, under one name", async () => {
  plug("1-1", "10c4:ea60", { ".": "bus/usb/001/003", "1-1:1.0/ttyUSB0/tty/ttyUSB0": "ttyUSB0" });
  plug("1-2", "18d1:9302", { ".": "bus/usb/001/004" });
  plug("1-3", "046d:0825", {
    ".": "bus/usb/001/005",
    "1-3:1.0/video4linux/video0": "video0",
    "1-3:1.0/media0": "media0",
  });
  device("apex_0");
  await look();
  expect(capacity()).toEqual({ "usb-10c4-ea60": "1", coral: "2", camera: "1" });

  await manager.allocate(pod("a", { "usb-10c4-ea60": "1", camera: "1" }));
  expect(await filesOf("a")).toEqual([
    "/dev/bus/usb/001/005",
    "/dev/media0",
    "/dev/video0",
    "/dev/bus/usb/001/003",
    "/dev/ttyUSB0",
  ]);
  await expect(manager.allocate(pod("b", { camera: "1" }))).rejects.toThrow("Requested: 1, Available: 0");
  await manager.allocate(pod("c", { coral: "2" }));
  expect((await filesOf("c")).toSorted()).toEqual(["/dev/apex_0", "/dev/bus/usb/001/004"]);
});

test("a disk and a network adapter by USB stay the board's own", async () => {
  plug("2-1", "152d:0578", { ".": "bus/usb/002/002" }, "08");
  plug("2-2", "0bda:8153", { ".": "bus/usb/002/003" });
  file("sys/bus/usb/devices/2-2/2-2:1.0/net/eth1/uevent", "INTERFACE=eth1\n");
  await look();
  expect(capacity()).toEqual({});

  // Its driver comes after it was offered.
  plug("2-3", "0bda:8156", { ".": "bus/usb/002/004" });
  await look();
  expect(capacity()).toEqual({ "usb-0bda-8156": "1" });
  file("sys/bus/usb/devices/2-3/2-3:1.0/net/eth2/uevent", "INTERFACE=eth2\n");
  await expect(manager.allocate(pod("a", { "usb-0bda-8156": "1" }))).rejects.toThrow(
    "the device 2-3 of board.bramble.dev/usb-0bda-8156 is not there",
  );
});

test("the Pi's own camera comes with its image processor; without a receiver that is no camera", async () => {
  for (const name of ["video10", "video11", "media0", "dma_heap/system"]) device(name);
  await look();
  expect(capacity()).toEqual({});
  for (const name of ["video0", "media1", "v4l-subdev0"]) device(name);
  plug("1-1", "046d:0825", { ".": "bus/usb/001/002", "1-1:1.0/video4linux/video1": "video1" });
  await look();
  expect(capacity()).toEqual({ camera: "2" });
  await manager.allocate(pod("a", { camera: "1" }));
  expect(await filesOf("a")).toEqual(["/dev/bus/usb/001/002", "/dev/video1"]);
  await manager.allocate(pod("b", { camera: "1" }));
  expect(await filesOf("b")).toEqual(
    ["media0", "media1", "v4l-subdev0", "video0", "video10", "video11", "dma_heap/system"].map(
      (each) => `/dev/${each}`,
    ),
  );
});

test("a Coral that has another number once its firmware is loaded is found at the next start", async () => {
  plug("1-2", "1a6e:089a", { ".": "bus/usb/001/004" });
  await look();
  await manager.allocate(pod("a", { coral: "1" }));
  expect(await filesOf("a")).toEqual(["/dev/bus/usb/001/004"]);
  unplug("1-2", "bus/usb/001/004");
  await expect(filesOf("a")).rejects.toThrow("the device 1-2 of board.bramble.dev/coral is not there");
  plug("1-2", "18d1:9302", { ".": "bus/usb/001/005" });
  expect(await filesOf("a")).toEqual(["/dev/bus/usb/001/005"]);
});

test("what goes is unhealthy and then counts nothing; a look that finds the same writes nothing", async () => {
  device("i2c-1");
  await devices.update("one");
  expect(changes).toBe(1);
  device("spidev0.0");
  await devices.update("one");
  expect([capacity(), changes]).toEqual([{ i2c: "10" }, 1]);
  rmSync(join(root, "dev/spidev0.0"));

  rmSync(join(root, "dev/i2c-1"));
  await devices.update("two");
  expect(manager.counts().allocatable).toEqual({ "board.bramble.dev/i2c": "0" });
  await expect(manager.allocate(pod("a", { i2c: "1" }))).rejects.toThrow("no healthy devices present");
  now_ms += 300_001;
  expect(capacity()).toEqual({ i2c: "0" });

  device("i2c-1");
  await devices.update("three");
  expect(manager.counts().allocatable).toEqual({ "board.bramble.dev/i2c": "10" });
  expect(changes).toBe(3);
});

test("devices with ever other names do not fill the Node", async () => {
  for (let product = 0; product < 80; product++) {
    const id = product.toString(16).padStart(4, "0");
    plug("1-1", `abcd:${id}`, { ".": "bus/usb/001/002" });
    await look();
    unplug("1-1", "bus/usb/001/002");
  }
  expect(Object.keys(capacity())).toHaveLength(64);
});
