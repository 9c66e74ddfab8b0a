import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** What a Pi tells of its health. */
export interface SensorReadings {
  readonly temperatures: readonly { readonly name: string; readonly celsius: number }[];
  /** The supply is too weak now. Undefined where nothing measures it. */
  readonly undervoltage: boolean | undefined;
  readonly throttled: boolean | undefined;
  /** Since boot. */
  readonly undervoltageSeen: boolean | undefined;
  readonly fan_rpm: number | undefined;
}

const run = promisify(execFile);
const vcgencmd_timeout_ms = 2_000;

/** Reads hwmon, thermal zones and, on a Pi, the firmware. Boards without them give empty readings. */
export async function readSensors(sysfs = "/sys"): Promise<SensorReadings> {
  const [temperatures, monitors, firmware] = await Promise.all([
    readTemperatures(sysfs),
    readMonitors(sysfs),
    readThrottled(sysfs),
  ]);
  return {
    temperatures,
    undervoltage: monitors.alarm ?? firmware?.undervoltage,
    throttled: firmware?.throttled,
    undervoltageSeen: firmware?.undervoltageSeen,
    fan_rpm: monitors.fan_rpm,
  };
}

async function readTemperatures(sysfs: string): Promise<SensorReadings["temperatures"]> {
  const folder = `${sysfs}/class/thermal`;
  const zones = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith("thermal_zone"));
  const readings = await Promise.all(
    zones.map(async (zone) => {
      const milli = Number(await text(`${folder}/${zone}/temp`));
      return { name: (await text(`${folder}/${zone}/type`)) || zone, celsius: milli / 1000 };
    }),
  );
  return readings.filter(({ celsius }) => Number.isFinite(celsius) && celsius !== 0);
}

/** What the kernel's own drivers measure of the Pi's supply (rpi_volt) and fan (pwmfan). */
async function readMonitors(sysfs: string): Promise<{ alarm: boolean | undefined; fan_rpm: number | undefined }> {
  const folder = `${sysfs}/class/hwmon`;
  let alarm: boolean | undefined;
  let fan_rpm: number | undefined;
  for (const monitor of await readdir(folder).catch(() => [])) {
    const driver = await text(`${folder}/${monitor}/name`);
    if (driver === "rpi_volt") alarm = (await text(`${folder}/${monitor}/in0_lcrit_alarm`)) === "1";
    const speed = driver === "pwmfan" ? Number.parseInt(await text(`${folder}/${monitor}/fan1_input`), 10) : Number.NaN;
    if (Number.isFinite(speed)) fan_rpm = speed;
  }
  return { alarm, fan_rpm };
}

let hasPowerChip = true;

/** Volts at the supply's pins, by the power chip of a Pi 5; undefined elsewhere. It takes a process. */
export async function readSupplyVolts(): Promise<number | undefined> {
  if (!hasPowerChip) return undefined;
  const output = await run("vcgencmd", ["pmic_read_adc", "EXT5V_V"], { timeout: vcgencmd_timeout_ms }).catch(
    () => undefined,
  );
  const volts = parsePowerChip(output?.stdout ?? "");
  // It will not change while we run.
  if (volts === undefined) hasPowerChip = false;
  return volts;
}

/** `EXT5V_V volt(24)=5.13284000V` */
export function parsePowerChip(output: string): number | undefined {
  const volts = Number.parseFloat(/EXT5V_V volt\(\d+\)=([\d.]+)V/.exec(output)?.[1] ?? "");
  return Number.isFinite(volts) ? volts : undefined;
}

let hasFirmware = true;

async function readThrottled(sysfs: string): Promise<ReturnType<typeof parseThrottled> | undefined> {
  // The firmware's driver tells without a process.
  const bits = await text(`${sysfs}/devices/platform/soc/soc:firmware/get_throttled`);
  if (bits !== "") return parseThrottled(`throttled=0x${bits}`);
  if (!hasFirmware) return undefined;
  try {
    const { stdout } = await run("vcgencmd", ["get_throttled"], { timeout: vcgencmd_timeout_ms });
    return parseThrottled(stdout);
  } catch {
    // Not a Pi, or its tools are missing: it will not change while we run.
    hasFirmware = false;
    return undefined;
  }
}

/** `throttled=0x50005`: bits as in the Pi's documentation of get_throttled. */
export function parseThrottled(
  output: string,
): { undervoltage: boolean; throttled: boolean; undervoltageSeen: boolean } | undefined {
  const hex = /throttled=0x([0-9a-f]+)/i.exec(output)?.[1];
  if (hex === undefined) return undefined;
  const bits = Number.parseInt(hex, 16);
  const has = (bit: number): boolean => (bits & (1 << bit)) !== 0;
  return { undervoltage: has(0), throttled: has(2), undervoltageSeen: has(16) };
}

async function text(path: string): Promise<string> {
  return readFile(path, "utf8").then(
    (content) => content.trim(),
    () => "",
  );
}
