// A shop that buys, reads the reason of an error, and follows events: Shop ADDRESS LINE MSISDN TOKEN_FILE
using System.Security.Cryptography;
using System.Text;
using Connectivity.V1;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;

static class Shop
{
    // The reason of an error, or "" when the gateway gave none.
    static string Reason(RpcException error) => error.GetRpcStatus()?.GetDetail<ErrorInfo>()?.Reason ?? "";

    // Buys once, however often it is called for the same line of an order.
    static async Task<Order> Buy(ChannelBase channel, string line, string msisdn, string productId)
    {
        // Like the id, the hash of the line is the same in every process.
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes("https://shop.example/production/purchases/" + line));
        var request = new CreateOrderRequest { RequestId = new Guid(hash.Take(16).ToArray()).ToString(), Sim = new SimRef { Msisdn = msisdn }, ProductId = productId };
        return (await new Provisioning.ProvisioningClient(channel).CreateOrderAsync(request)).Order;
    }

    // Prints every event at least once. The file keeps the last token.
    static async Task Follow(ChannelBase channel, string file)
    {
        for (; ; await Task.Delay(Random.Shared.Next(1000)))
        {
            var token = File.Exists(file) ? File.ReadAllText(file) : "";
            try
            {
                using var call = new Events.EventsClient(channel).StreamEvents(new StreamEventsRequest { ResumeToken = token, Start = StreamStart.Earliest });
                while (await call.ResponseStream.MoveNext())
                {
                    var message = call.ResponseStream.Current;
                    if (message.Event is Event found) Console.WriteLine($"event {found.EventId} {found.RawType} {found.OrderId}");
                    // After the event was handled, and as a whole: the file never has half a token.
                    File.WriteAllText(file + ".new", message.ResumeToken);
                    File.Move(file + ".new", file, overwrite: true);
                }
            }
            catch (RpcException error) when (Reason(error) is "EVENT_CURSOR_EXPIRED" or "EVENT_CURSOR_INVALID")
            {
                Console.WriteLine("events were lost: compare with Inventory");
                File.Delete(file);
            }
            catch (RpcException error) when (error.StatusCode is not (StatusCode.InvalidArgument or StatusCode.PermissionDenied or StatusCode.Unauthenticated)) { }
        }
    }

    static async Task Main(string[] words)
    {
        var handler = new SocketsHttpHandler { KeepAlivePingDelay = TimeSpan.FromMinutes(1) };
        using var channel = GrpcChannel.ForAddress("http://" + words[0], new GrpcChannelOptions { HttpHandler = handler });
        var order = await Buy(channel, words[1], words[2], "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D");
        Console.WriteLine($"order {order.OrderId} {order.State}");
        try { await Buy(channel, words[1] + "/unknown", words[2], "NO_SUCH_PRODUCT"); }
        catch (RpcException error) { Console.WriteLine($"error {error.StatusCode} {Reason(error)}"); }
        await Follow(channel, words[3]);
    }
}
