import { readFileSync } from "node:fs";
import type { IClientOptions } from "mqtt";
import { ConfigError } from "#shared/config/option.ts";
import { outOfUrl } from "#shared/http/host-port.ts";

/** A broker that is not the master's. Files are read anew for each connection. */
export interface OutsideBroker {
  /** `mqtts://host:8883` or `mqtt://host:1883`. */
  readonly url: string;
  readonly username: string | undefined;
  readonly passwordFile: string | undefined;
  readonly caFile: string | undefined;
}

/** What the settings name; undefined where they name none. Throws ConfigError for what is no such URL. */
export function outsideBrokerOf(settings: {
  readonly mqttBroker: string;
  readonly mqttUsername: string;
  readonly mqttPasswordFile: string;
  readonly mqttCa: string;
}): OutsideBroker | undefined {
  const { mqttBroker: url } = settings;
  if (!url) return undefined;
  const { protocol } = URL.canParse(url) ? new URL(url) : { protocol: "" };
  if (protocol !== "mqtts:" && protocol !== "mqtt:")
    throw new ConfigError(`mqtt-broker: expected mqtts://HOST:8883 or mqtt://HOST:1883, got ${url}`);
  if (settings.mqttPasswordFile && !settings.mqttUsername)
    throw new ConfigError("mqtt-password-file: a password needs mqtt-username");
  return {
    url,
    username: settings.mqttUsername || undefined,
    passwordFile: settings.mqttPasswordFile || undefined,
    caFile: settings.mqttCa || undefined,
  };
}

/** How mqtt.js connects to it. @param certificate what proves the client at a broker that asks for certificates. */
export function outsideConnection(
  { url, username, passwordFile, caFile }: OutsideBroker,
  certificate: { readonly cert: string; readonly key: string },
): IClientOptions {
  const { protocol, hostname, port } = new URL(url);
  const isTls = protocol === "mqtts:";
  return {
    protocol: isTls ? "mqtts" : "mqtt",
    host: outOfUrl(hostname),
    port: Number(port || (isTls ? 8883 : 1883)),
    ...(username ? { username } : {}),
    ...(passwordFile ? { password: readFileSync(passwordFile, "utf8").trimEnd() } : {}),
    ...(isTls ? { cert: certificate.cert, key: certificate.key, rejectUnauthorized: true } : {}),
    ...(isTls && caFile ? { ca: readFileSync(caFile, "utf8") } : {}),
  };
}
