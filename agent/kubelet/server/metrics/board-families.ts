import type { Family } from "#shared/metrics/prometheus-text.ts";
import type { DiskWrites } from "../../../telemetry/disk-writes.ts";
import type { SensorReadings } from "../../../telemetry/sensors.ts";
import type { BoardUsage } from "../../../telemetry/usage.ts";

/** What /metrics/board tells of the hardware. */
export interface BoardReadings {
  readonly usage: BoardUsage;
  readonly sensors: SensorReadings;
  readonly memory_bytes: number;
  readonly cpus: number;
  readonly load1: number;
  readonly uptime_s: number;
  readonly model: string;
  readonly writes: DiskWrites;
}

/** /metrics/board: memory, disk, network and sensors in node_exporter's names, and what a Pi's firmware says of its supply. */
export function boardFamilies(readings: BoardReadings): Family[] {
  const { usage, sensors, writes } = readings;
  const { device } = writes;
  const ofDevice = device ? { device: device.name } : {};
  const gauge = (name: string, help: string, value: number | boolean | undefined, labels = {}): Family => ({
    name,
    type: "gauge",
    help,
    samples: value === undefined ? [] : [{ labels, value: Number(value) }],
  });
  const mountpoint = usage.filesystem.mount === undefined ? {} : { mountpoint: usage.filesystem.mount };
  const temperatures =
    sensors.temperatures.length > 0 || usage.temperature_celsius === undefined
      ? sensors.temperatures
      : [{ name: "cpu", celsius: usage.temperature_celsius }];
  return [
    gauge("bramble_board_info", "The board; the value is always 1.", 1, { model: readings.model }),
    gauge("bramble_board_cpus", "Processor cores.", readings.cpus),
    gauge("node_boot_time_seconds", "When it booted, in seconds since 1970.", Date.now() / 1000 - readings.uptime_s),
    gauge("node_load1", "Load of the last minute.", readings.load1),
    gauge("node_memory_MemTotal_bytes", "Memory.", readings.memory_bytes),
    gauge("node_memory_MemAvailable_bytes", "Memory that is free or can be freed.", usage.memoryAvailable_bytes),
    gauge("node_filesystem_size_bytes", "Disk that holds the data.", usage.filesystem.capacity_bytes, mountpoint),
    gauge("node_filesystem_avail_bytes", "What is left of it.", usage.filesystem.available_bytes, mountpoint),
    gauge("bramble_written_bytes", "What this process wrote to disks since its start.", writes.own_bytes),
    gauge("bramble_written_seconds", "Since when, in seconds.", writes.ownFor_s),
    gauge(
      "node_disk_written_bytes_total",
      "What was written to that disk since boot.",
      device?.written_bytes,
      ofDevice,
    ),
    gauge("bramble_board_disk_written_seconds", "Since when, in seconds.", device?.writtenFor_s, ofDevice),
    gauge("bramble_board_disk_bytes", "Size of the whole disk.", device?.size_bytes, ofDevice),
    gauge("bramble_board_disk_life_used_percent", "By its own word.", device?.lifeUsed_percent, ofDevice),
    gauge("bramble_board_disk_worn_out", "1 when it says that its reserve is used up.", device?.isWornOut, ofDevice),
    {
      name: "node_thermal_zone_temp",
      type: "gauge",
      help: "Temperature in degrees Celsius.",
      samples: temperatures.map(({ name, celsius }, zone) => ({
        labels: { zone: String(zone), type: name },
        value: celsius,
      })),
    },
    gauge("bramble_board_undervoltage", "1 while the supply is too weak.", sensors.undervoltage),
    gauge("bramble_board_undervoltage_seen", "1 if the supply was too weak since boot.", sensors.undervoltageSeen),
    gauge("bramble_board_throttled", "1 while the firmware slows the processor.", sensors.throttled),
    ...(["received_bytes", "sent_bytes"] as const).map(
      (field): Family => ({
        name: `node_network_${field === "received_bytes" ? "receive" : "transmit"}_bytes_total`,
        type: "counter",
        help: field === "received_bytes" ? "Bytes received." : "Bytes sent.",
        samples: usage.interfaces.map((each) => ({ labels: { device: each.name }, value: each[field] })),
      }),
    ),
  ];
}
