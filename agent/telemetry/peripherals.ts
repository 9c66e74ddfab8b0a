import { readdir, readFile } from "node:fs/promises";

/** What may hang on a board that a pod may look for; each is a label of its Node. */
export type Peripheral = "gpio" | "i2c" | "spi" | "camera" | "coral" | `usb-${string}-${string}`;

/** Device files that tell of one. */
export const deviceFiles: readonly (readonly [Peripheral, RegExp])[] = [
  ["gpio", /^gpiochip\d+$/],
  ["i2c", /^i2c-\d+$/],
  ["spi", /^spidev\d+\.\d+$/],
  // The Pi's own camera comes with a receiver (unicam, rp1-cfe), one by USB with a capture device; both are video0 on.
  ["camera", /^video\d$/],
  // On PCIe.
  ["coral", /^apex_\d+$/],
];

/** A Coral by USB, before and after its firmware is loaded. */
const corals: ReadonlySet<string> = new Set(["1a6e:089a", "18d1:9302"]);
/** Hubs, of which each board has some and which serve nobody by themselves. */
const hubClass = "09";
/** A Node carries its labels everywhere: more devices than this are not told. */
export const mostUsb = 16;

/**
 * What hangs on the board now, sorted. Two folders are read; the files of USB devices only when another device is there than
 * last time.
 */
export class PeripheralScan {
  readonly #root: string;
  #seenUsb: string | undefined;
  #usb: readonly Peripheral[] = [];
  #fingerprint = "";

  constructor(root = "/") {
    this.#root = root;
  }

  /** Another one after a look that found other device files or USB devices than the last. */
  get fingerprint(): string {
    return this.#fingerprint;
  }

  async look(): Promise<readonly Peripheral[]> {
    const [devices, usb] = await Promise.all([
      readdir(`${this.#root}dev`).catch(() => []),
      readdir(`${this.#root}sys/bus/usb/devices`).catch(() => []),
    ]);
    const seen = usb.sort().join(" ");
    if (seen !== this.#seenUsb) {
      this.#usb = await this.#readUsb(usb);
      this.#seenUsb = seen;
    }
    const files = deviceFiles.map(([name, file]) => ({ name, there: devices.filter((device) => file.test(device)) }));
    this.#fingerprint = [...files.flatMap(({ there }) => there).sort(), seen].join(" ");
    const found = files.flatMap(({ name, there }) => (there.length > 0 ? [name] : []));
    return [...new Set([...found, ...this.#usb])].sort();
  }

  async #readUsb(names: readonly string[]): Promise<readonly Peripheral[]> {
    const devices = await usbDevices(this.#root, names);
    const found = devices.flatMap(({ peripheral, isCoral }): Peripheral[] => [
      ...(isCoral ? ["coral" as const] : []),
      peripheral,
    ]);
    return [...new Set(found)].slice(0, mostUsb);
  }
}

export interface UsbDevice {
  /** The port it is plugged into, as the kernel names it: "1-1.2". */
  readonly port: string;
  readonly peripheral: Peripheral;
  readonly isCoral: boolean;
}

/** USB devices but hubs, among the entries `names` of /sys/bus/usb/devices. One that goes meanwhile is left out. */
export async function usbDevices(root: string, names: readonly string[]): Promise<UsbDevice[]> {
  // Interfaces have a colon in their names.
  const ports = names.filter((name) => !name.includes(":"));
  const read = await Promise.all(
    ports.map(async (port): Promise<UsbDevice[]> => {
      const text = (file: string): Promise<string> =>
        readFile(`${root}sys/bus/usb/devices/${port}/${file}`, "utf8").then(
          (content) => content.trim().toLowerCase(),
          () => "",
        );
      const [vendor, product, kind] = await Promise.all([text("idVendor"), text("idProduct"), text("bDeviceClass")]);
      if (!/^[0-9a-f]{4}$/.test(vendor) || !/^[0-9a-f]{4}$/.test(product) || kind === hubClass) return [];
      const isCoral = corals.has(`${vendor}:${product}`);
      return [{ port, peripheral: `usb-${vendor}-${product}`, isCoral }];
    }),
  );
  return read.flat();
}
