import { sessionTopic } from "#shared/heartbeat/messages.ts";
import { type TelemetryMessage, telemetryTopic } from "#shared/heartbeat/telemetry.ts";

/** What Home Assistant shows of a board's hardware. */
export interface DiscoveredBoard {
  readonly nodeName: string;
  /** The same for as long as the board lives, whatever it is called. */
  readonly serial: string;
  readonly model: string;
  readonly version: string;
}

interface Component {
  readonly platform: "sensor" | "binary_sensor";
  readonly name: string;
  readonly device_class?: string;
  readonly unit_of_measurement?: string;
  readonly state_class?: "measurement";
  readonly entity_category?: "diagnostic";
  readonly value_template: string;
  readonly suggested_display_precision?: number;
}

const measurement = { platform: "sensor", state_class: "measurement" } as const;
const problem = { platform: "binary_sensor", device_class: "problem", entity_category: "diagnostic" } as const;

const components: { readonly [Field in keyof TelemetryMessage]-?: Component | undefined } = {
  temperature_celsius: {
    ...measurement,
    name: "Temperature",
    device_class: "temperature",
    unit_of_measurement: "°C",
    suggested_display_precision: 1,
    value_template: "{{ value_json.temperature_celsius }}",
  },
  undervoltage: { ...problem, name: "Undervoltage", value_template: onOff("undervoltage") },
  undervoltageSinceBoot: {
    ...problem,
    name: "Undervoltage since boot",
    value_template: onOff("undervoltageSinceBoot"),
  },
  throttled: { ...problem, name: "Throttled", value_template: onOff("throttled") },
  supply_volts: {
    ...measurement,
    name: "Supply",
    device_class: "voltage",
    unit_of_measurement: "V",
    suggested_display_precision: 2,
    value_template: "{{ value_json.supply_volts }}",
  },
  fan_rpm: { ...measurement, name: "Fan", unit_of_measurement: "rpm", value_template: "{{ value_json.fan_rpm }}" },
  load1: {
    ...measurement,
    name: "Load",
    suggested_display_precision: 2,
    value_template: "{{ value_json.load1 }}",
  },
  memoryUsed_bytes: {
    ...measurement,
    name: "Memory used",
    unit_of_measurement: "%",
    suggested_display_precision: 0,
    value_template: "{{ value_json.memoryUsed_bytes / value_json.memory_bytes * 100 }}",
  },
  diskUsed_bytes: {
    ...measurement,
    name: "Disk used",
    unit_of_measurement: "%",
    suggested_display_precision: 0,
    value_template: "{{ value_json.diskUsed_bytes / value_json.disk_bytes * 100 }}",
  },
  uptime_s: {
    platform: "sensor",
    name: "Uptime",
    device_class: "duration",
    unit_of_measurement: "s",
    entity_category: "diagnostic",
    value_template: "{{ value_json.uptime_s }}",
  },
  // The others are shown as parts of these.
  memory_bytes: undefined,
  disk_bytes: undefined,
};

function onOff(field: keyof TelemetryMessage): string {
  return `{{ 'ON' if value_json.${field} else 'OFF' }}`;
}

/**
 * The message by which Home Assistant knows a board as a device (MQTT discovery of devices, 2024.11 and later): an entity
 * for each value that the board measures, unavailable as soon as its session has ended.
 * @param seen a message of this board: what it leaves out has no entity.
 */
export function discoveryMessage(board: DiscoveredBoard, seen: TelemetryMessage, interval_s: number): object {
  const id = `bramble_${board.serial}`;
  const fields = (Object.keys(components) as (keyof TelemetryMessage)[]).filter((field) => seen[field] !== undefined);
  return {
    device: {
      identifiers: [id],
      name: board.nodeName,
      serial_number: board.serial,
      sw_version: board.version,
      ...(board.model ? { model: board.model } : {}),
    },
    origin: { name: "Bramble", sw_version: board.version },
    state_topic: telemetryTopic(board.nodeName),
    availability_topic: sessionTopic(board.nodeName),
    availability_template: "{{ 'online' if value_json.state == 'online' else 'offline' }}",
    components: Object.fromEntries(
      fields.flatMap((field) => {
        const component = components[field];
        if (!component) return [];
        return [[field, { ...component, unique_id: `${id}_${field}`, expire_after: interval_s * 3 }]];
      }),
    ),
  };
}
