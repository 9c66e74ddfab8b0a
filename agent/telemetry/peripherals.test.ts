import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PeripheralScan } from "./peripherals.ts";

const root = `${mkdtempSync(join(tmpdir(), "bramble-peripherals-"))}/`;
afterAll(() => rmSync(root, { recursive: true }));

function file(path: string, content = ""): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
}

function usbDevice(name: string, ids: string, kind = "00"): void {
  const [vendor = "", product = ""] = ids.split(":");
  file(`sys/bus/usb/devices/${name}/idVendor`, `${vendor}\n`);
  file(`sys/bus/usb/devices/${name}/idProduct`, `${product}\n`);
  file(`sys/bus/usb/devices/${name}/bDeviceClass`, `${kind}\n`);
}

test("what hangs on a board is found, and found gone", async () => {
  const scan = new PeripheralScan(root);
  expect(await scan.look()).toEqual([]);
  const nothing = scan.fingerprint;

  for (const device of ["gpiochip0", "i2c-1", "spidev0.0", "video0", "null", "i2c", "tty1"]) file(`dev/${device}`);
  usbDevice("usb1", "1d6b:0002", "09");
  usbDevice("1-1", "10C4:EA60");
  usbDevice("1-2", "1a6e:089a");
  file("sys/bus/usb/devices/1-1:1.0/bInterfaceNumber", "00\n");
  expect(await scan.look()).toEqual(["camera", "coral", "gpio", "i2c", "spi", "usb-10c4-ea60", "usb-1a6e-089a"]);

  const all = scan.fingerprint;
  expect(all).not.toBe(nothing);
  file("dev/tty2");
  await scan.look();
  expect(scan.fingerprint).toBe(all);

  rmSync(join(root, "sys/bus/usb/devices/1-2"), { recursive: true });
  rmSync(join(root, "dev/video0"));
  expect(await scan.look()).toEqual(["gpio", "i2c", "spi", "usb-10c4-ea60"]);
  expect(scan.fingerprint).not.toBe(all);
});
