/** How a plug-in that has put its socket into the registry's folder says what it is (pluginregistration.v1). */
import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import { bool, type MessageOf, message, repeated, string } from "#shared/grpc/message.ts";
import { socketUrl } from "#shared/grpc/socket-url.ts";

const InfoRequest = message({});
export const PluginInfo = message({
  type: string(1),
  name: string(2),
  endpoint: string(3),
  supportedVersions: repeated(4, "string"),
});
export type PluginInfo = MessageOf<typeof PluginInfo>;
export const RegistrationStatus = message({ registered: bool(1), error: string(2) });

export const registrationPaths = {
  getInfo: "/pluginregistration.Registration/GetInfo",
  notify: "/pluginregistration.Registration/NotifyRegistrationStatus",
} as const;

/** What takes plug-ins of one type. */
export interface PluginHandler {
  /** Rejects with what the plug-in is then told. The endpoint is the path of a socket. */
  register(plugin: PluginInfo): Promise<void>;
  deregister(plugin: PluginInfo): Promise<void>;
}

const answer_ms = 10_000;

/**
 * Asks the plug-in at a socket what it is, hands it to the handler of its type, and tells it how that went. Gives what
 * takes it off again. Rejects when the plug-in does not answer or is refused.
 */
export async function registerPlugin(
  socket: string,
  handlers: (type: string) => Promise<PluginHandler | undefined>,
): Promise<() => Promise<void>> {
  const channel = new GrpcChannel({ endpoint: socketUrl(socket), connect_ms: answer_ms });
  try {
    const answer = await channel.unary(registrationPaths.getInfo, InfoRequest.encode({}), answer_ms);
    const said = PluginInfo.decode(answer);
    const plugin = { ...said, endpoint: said.endpoint === "" ? socket : said.endpoint };
    const notify = async (error: string): Promise<void> => {
      const status = RegistrationStatus.encode({ registered: error === "", error });
      await channel.unary(registrationPaths.notify, status, answer_ms);
    };
    try {
      const handler = await handlers(plugin.type);
      if (!handler) throw new Error(`no handler registered for plugin type: ${plugin.type} at socket ${socket}`);
      await handler.register(plugin);
      await notify("");
      return () => handler.deregister(plugin);
    } catch (error) {
      await notify((error as Error).message).catch((untold: unknown) => {
        // It ends by itself when it hears nothing; what went wrong first is what counts.
        if (!(untold instanceof GrpcError)) throw untold;
      });
      throw error;
    }
  } finally {
    channel.close();
  }
}
