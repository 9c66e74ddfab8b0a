import { statfs } from "node:fs/promises";
import { loadavg, totalmem, uptime } from "node:os";
import type { TelemetryMessage } from "#shared/heartbeat/telemetry.ts";
import { readSensors, readSupplyVolts } from "./sensors.ts";
import { readLoad } from "./usage.ts";

/** Reads what a board tells by MQTT: kernel files, and the firmware where a Pi's own tools are there. */
export async function readTelemetry(dataFolder: string): Promise<TelemetryMessage> {
  const [sensors, supply_volts, load, disk] = await Promise.all([
    readSensors(),
    readSupplyVolts(),
    readLoad(),
    statfs(dataFolder),
  ]);
  const hottest = Math.max(...sensors.temperatures.map(({ celsius }) => celsius));
  const known: Partial<TelemetryMessage> = {
    ...(Number.isFinite(hottest) ? { temperature_celsius: hottest } : {}),
    ...(sensors.undervoltage === undefined ? {} : { undervoltage: sensors.undervoltage }),
    ...(sensors.undervoltageSeen === undefined ? {} : { undervoltageSinceBoot: sensors.undervoltageSeen }),
    ...(sensors.throttled === undefined ? {} : { throttled: sensors.throttled }),
    ...(supply_volts === undefined ? {} : { supply_volts }),
    ...(sensors.fan_rpm === undefined ? {} : { fan_rpm: sensors.fan_rpm }),
  };
  return {
    ...known,
    load1: loadavg()[0] ?? 0,
    memory_bytes: totalmem(),
    memoryUsed_bytes: load.memoryUsed_bytes,
    disk_bytes: disk.blocks * disk.bsize,
    diskUsed_bytes: (disk.blocks - disk.bfree) * disk.bsize,
    uptime_s: Math.round(uptime()),
  };
}
