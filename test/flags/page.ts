/** What runs in the browser: OpenFeature's client and provider, as they are; the test looks in by `window.page`. */
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";

export interface Page {
  /** Names of changed flags, as they were heard. */
  readonly heard: string[];
  start(endpoint: string, key: string, user: string): Promise<string>;
  become(user: string): Promise<void>;
  boolean(flag: string): { readonly value: boolean; readonly variant?: string; readonly reason?: string };
}

const client = OpenFeature.getClient();
const page: Page = {
  heard: [],
  async start(baseUrl, key, user) {
    client.addHandler(ProviderEvents.ConfigurationChanged, (details) => {
      page.heard.push(...(details?.flagsChanged ?? []));
    });
    await OpenFeature.setContext({ targetingKey: user });
    const headers: [string, string][] = [["Authorization", `Bearer ${key}`]];
    // Without polling: what changes is heard of by events alone.
    const provider = new OFREPWebProvider({ baseUrl, headers, pollInterval: -1 });
    await OpenFeature.setProviderAndWait(provider as never).catch(() => {});
    return String(client.providerStatus);
  },
  async become(user) {
    await OpenFeature.setContext({ targetingKey: user });
  },
  boolean: (flag) => client.getBooleanDetails(flag, false),
};
(globalThis as unknown as { page: Page }).page = page;
