import { readdir, readFile, stat } from "node:fs/promises";
import { deviceFiles, mostUsb, type Peripheral, usbDevices } from "#agent/telemetry/peripherals.ts";
import { errnoOf } from "#shared/files/if-present.ts";

/** What one pod at a time can have, or a slot of what pods share. */
export interface BoardDevice {
  readonly id: string;
  /** Paths below /dev. */
  readonly files: readonly string[];
}

/** Buses and lines serve several programs: so many containers of a board may have them at a time. */
const sharedSlots = 10;

const shared: readonly Peripheral[] = ["gpio", "i2c", "spi"];
/** The registers of the lines alone, which older libraries map. */
const gpioRegisters = /^gpiomem0?$/;
/** What serves the Pi's own camera: receivers, sensors, image processor. */
const cameraFiles = /^(video|media|v4l-subdev)\d+$/;
const massStorage = "08";
/** A disk lies below its interface: host, target, address, "block". */
const mostDepth = 8;

interface UsbContents {
  readonly files: readonly string[];
  /** Classes that the kernel's drivers made devices of, such as "net" or "tty". */
  readonly classes: ReadonlySet<string>;
  readonly isStorage: boolean;
}

/**
 * What the board can give to containers now, each device under one name alone. Disks and network adapters by USB are the
 * board's own: whoever has their files has the board.
 */
export async function findHardware(root: string): Promise<Map<Peripheral, BoardDevice[]>> {
  const [dev, usbNames] = await Promise.all([entries(`${root}dev`), entries(`${root}sys/bus/usb/devices`)]);
  const found = new Map<Peripheral, BoardDevice[]>();
  const add = (name: Peripheral, ...devices: BoardDevice[]): void => {
    if (devices.length > 0) found.set(name, [...(found.get(name) ?? []), ...devices]);
  };
  const matching = (name: Peripheral): string[] => {
    const file = deviceFiles.find(([each]) => each === name)?.[1];
    return dev.filter((entry) => file?.test(entry)).sort();
  };
  for (const name of shared) add(name, ...slots(name, matching(name), dev));
  add("coral", ...matching("coral").map((file) => ({ id: file, files: [file] })));

  const ofUsb = new Set<string>();
  const usb = (await usbDevices(root, usbNames)).sort((a, b) => a.port.localeCompare(b.port));
  for (const { port, peripheral, isCoral } of usb) {
    const { files, classes, isStorage } = await usbContents(`${root}sys/bus/usb/devices/${port}`);
    for (const file of files) ofUsb.add(file);
    if (isStorage || classes.has("block") || classes.has("net") || files.length === 0) continue;
    const name = isCoral ? "coral" : classes.has("video4linux") ? "camera" : peripheral;
    const isOneMore = !found.has(name) && [...found.keys()].filter((each) => each.startsWith("usb-")).length >= mostUsb;
    if (!isOneMore || name !== peripheral) add(name, { id: port, files });
  }

  if (matching("camera").some((file) => !ofUsb.has(file))) {
    const heaps = (await entries(`${root}dev/dma_heap`)).map((heap) => `dma_heap/${heap}`);
    const files = [...dev.filter((file) => cameraFiles.test(file) && !ofUsb.has(file)).sort(), ...heaps.sort()];
    add("camera", { id: "csi", files });
  }
  return found;
}

function slots(name: Peripheral, own: readonly string[], dev: readonly string[]): BoardDevice[] {
  if (own.length === 0) return [];
  const files = name === "gpio" ? [...own, ...dev.filter((entry) => gpioRegisters.test(entry))] : own;
  return Array.from({ length: sharedSlots }, (_, slot) => ({ id: `${name}-${slot}`, files }));
}

/** The files of a device that are there as character devices. */
export async function presentFiles(root: string, files: readonly string[]): Promise<string[]> {
  const present = await Promise.all(
    files.map(async (file) => {
      try {
        return (await stat(`${root}dev/${file}`)).isCharacterDevice();
      } catch (error) {
        if (isAbsence(error)) return false;
        throw error;
      }
    }),
  );
  return files.filter((_, index) => present[index]);
}

async function usbContents(folder: string): Promise<UsbContents> {
  const files: string[] = [];
  const classes = new Set<string>();
  let isStorage = false;
  const walk = async (path: string, depth: number): Promise<void> => {
    const inside = await readdir(path, { withFileTypes: true }).catch(none);
    for (const entry of inside) {
      // Links lead to drivers, buses and neighbours.
      if (entry.isDirectory()) {
        classes.add(entry.name);
        if (depth < mostDepth) await walk(`${path}/${entry.name}`, depth + 1);
      }
      if (entry.name === "bInterfaceClass")
        isStorage ||= (await text(`${path}/bInterfaceClass`)).trim() === massStorage;
      if (entry.name !== "uevent") continue;
      const file = /^DEVNAME=(.+)$/m.exec(await text(`${path}/uevent`))?.[1];
      if (file) files.push(file);
    }
  };
  await walk(folder, 0);
  return { files: files.sort(), classes, isStorage };
}

/** Devices go as people pull plugs, at any time between two looks. */
const isAbsence = (error: unknown): boolean => ["ENOENT", "ENODEV", "ENOTDIR", "ENXIO"].includes(errnoOf(error) ?? "");

function none(error: unknown): never[] {
  if (isAbsence(error)) return [];
  throw error;
}

const entries = (folder: string): Promise<string[]> => readdir(folder).catch(none);

const text = (file: string): Promise<string> =>
  readFile(file, "utf8").catch((error: unknown) => {
    none(error);
    return "";
  });
