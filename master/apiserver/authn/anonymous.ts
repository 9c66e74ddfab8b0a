/** Whether who shows no credentials may come in, as the anonymous user. */
import type { Log } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import type { AuthenticationConfiguration } from "./authentication-configuration.ts";

/**
 * By --anonymous-auth, unless --authentication-config says itself who may. As in upstream's ApplyAuthorization, the flag
 * does not open the door where mode AlwaysAllow lets everybody do everything who is in.
 */
export function anonymousAccess(
  settings: Pick<MasterSettings, "anonymousAuth" | "authorizationMode">,
  configured: Pick<AuthenticationConfiguration, "allowsAnonymous"> | undefined,
  log: Log,
): (path: string) => boolean {
  if (!settings.anonymousAuth) return () => false;
  const isLetBySetting = !settings.authorizationMode.includes("AlwaysAllow");
  if (!isLetBySetting) log.warn("anonymous-auth counts as false with mode AlwaysAllow");
  return (path) => configured?.allowsAnonymous(path) ?? isLetBySetting;
}
