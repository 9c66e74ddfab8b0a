import { nodeTopics } from "./messages.ts";

/** What a board tells of itself by MQTT, on request; a value that nothing there measures is left out. */
export interface TelemetryMessage {
  readonly temperature_celsius?: number;
  /** The supply is too weak: now, or at some time since boot. */
  readonly undervoltage?: boolean;
  readonly undervoltageSinceBoot?: boolean;
  /** The firmware slows the processor now. */
  readonly throttled?: boolean;
  readonly supply_volts?: number;
  readonly fan_rpm?: number;
  readonly load1: number;
  readonly memory_bytes: number;
  readonly memoryUsed_bytes: number;
  /** Of the disk that holds Bramble's data. */
  readonly disk_bytes: number;
  readonly diskUsed_bytes: number;
  readonly uptime_s: number;
}

/** `bramble/v1/nodes/<node>/telemetry` (QoS 0, not retained). */
export const telemetryTopic = (node: string): string => `${nodeTopics(node)}telemetry`;

/** Where Home Assistant looks for a device (its MQTT discovery), retained. A board may write to its own. */
export const discoveryTopic = (prefix: string, node: string): string => `${prefix}/device/bramble_${node}/config`;

/** Home Assistant tells there, on each of its prefixes, that it has begun. */
export const isHomeAssistantStatus = (topic: string): boolean => /^[^/]+\/status$/.test(topic);

/** Is it the discovery topic of this node, below whatever prefix? */
export function isDiscoveryTopicOf(node: string, topic: string): boolean {
  const slash = topic.indexOf("/");
  return slash > 0 && topic === discoveryTopic(topic.slice(0, slash), node);
}
