import { readdir, readFile } from "node:fs/promises";

/** What may hang on a board that a pod may look for; each is a label of its Node. */
export type Peripheral = "gpio" | "i2c" | "spi" | "camera" | "coral" | `usb-${string}-${string}`;

/** Device files that tell of one. */
const deviceFiles: readonly (readonly [Peripheral, RegExp])[] = [
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
const mostUsb = 16;

/**
 * What hangs on the board now, sorted. Two folders are read; the files of USB devices only when another device is there than
 * last time.
 */
export class PeripheralScan {
  readonly #root: string;
  #seenUsb: string | undefined;
  #usb: readonly Peripheral[] = [];

  constructor(root = "/") {
    this.#root = root;
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
    const found = deviceFiles.flatMap(([name, file]) => (devices.some((device) => file.test(device)) ? [name] : []));
    return [...new Set([...found, ...this.#usb])].sort();
  }

  async #readUsb(names: readonly string[]): Promise<readonly Peripheral[]> {
    // Interfaces have a colon in their names.
    const devices = names.filter((name) => !name.includes(":"));
    const read = await Promise.all(
      devices.map(async (name): Promise<Peripheral[]> => {
        const text = (file: string): Promise<string> =>
          readFile(`${this.#root}sys/bus/usb/devices/${name}/${file}`, "utf8").then(
            (content) => content.trim().toLowerCase(),
            () => "",
          );
        const [vendor, product, kind] = await Promise.all([text("idVendor"), text("idProduct"), text("bDeviceClass")]);
        if (!/^[0-9a-f]{4}$/.test(vendor) || !/^[0-9a-f]{4}$/.test(product) || kind === hubClass) return [];
        const coral: Peripheral[] = corals.has(`${vendor}:${product}`) ? ["coral"] : [];
        return [...coral, `usb-${vendor}-${product}`];
      }),
    );
    return [...new Set(read.flat())].slice(0, mostUsb);
  }
}
