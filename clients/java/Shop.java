// A shop that buys, reads the reason of an error, and follows events: Shop ADDRESS LINE MSISDN TOKEN_FILE
import com.google.gson.Gson;
import com.google.rpc.ErrorInfo;
import connectivity.v1.*;
import io.grpc.*;
import io.grpc.protobuf.StatusProto;
import java.nio.file.*;
import java.util.*;

class Shop {
  /** The reason of an error, or "" when the gateway gave none. */
  static String reason(StatusRuntimeException error) throws Exception {
    for (var detail : StatusProto.fromThrowable(error).getDetailsList())
      if (detail.is(ErrorInfo.class)) return detail.unpack(ErrorInfo.class).getReason();
    return "";
  }

  /** Buys once, however often it is called for the same line of an order. */
  static Order buy(Channel channel, String line, String msisdn, String productId) {
    var requestId = UUID.nameUUIDFromBytes(("https://shop.example/production/purchases/" + line).getBytes());
    var request = CreateOrderRequest.newBuilder().setRequestId(requestId.toString()).setProductId(productId);
    request.getSimBuilder().setMsisdn(msisdn);
    return ProvisioningGrpc.newBlockingStub(channel).createOrder(request.build()).getOrder();
  }

  /** Prints every event at least once. The file keeps the last token. */
  static void follow(Channel channel, Path file) throws Exception {
    for (;; Thread.sleep((long) (1000 * Math.random()))) {
      var token = Files.exists(file) ? Files.readString(file) : "";
      var request = StreamEventsRequest.newBuilder().setResumeToken(token).setStart(StreamStart.STREAM_START_EARLIEST);
      try {
        for (var stream = EventsGrpc.newBlockingStub(channel).streamEvents(request.build()); stream.hasNext();) {
          var message = stream.next();
          var event = message.getEvent();
          if (message.hasEvent()) System.out.printf("event %s %s %s%n", event.getEventId(), event.getRawType(), event.getOrderId());
          // After the event was handled, and as a whole: the file never has half a token.
          Files.move(Files.writeString(Path.of(file + ".new"), message.getResumeToken()), file, StandardCopyOption.ATOMIC_MOVE);
        }
      } catch (StatusRuntimeException error) {
        var lasting = Set.of(Status.Code.INVALID_ARGUMENT, Status.Code.PERMISSION_DENIED, Status.Code.UNAUTHENTICATED);
        var lost = Set.of("EVENT_CURSOR_EXPIRED", "EVENT_CURSOR_INVALID").contains(reason(error));
        if (lost && Files.deleteIfExists(file)) System.out.println("events were lost: compare with Inventory");
        else if (lasting.contains(error.getStatus().getCode())) throw error;
      }
    }
  }

  public static void main(String[] words) throws Exception {
    Map<String, ?> config = new Gson().fromJson(Files.readString(Path.of("clients/service_config.json")), Map.class);
    var address = ManagedChannelBuilder.forTarget(words[0]).usePlaintext().keepAliveTime(1, java.util.concurrent.TimeUnit.MINUTES);
    var channel = address.defaultServiceConfig(config).enableRetry().build();
    var order = buy(channel, words[1], words[2], "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D");
    System.out.printf("order %s %s%n", order.getOrderId(), order.getState());
    try { buy(channel, words[1] + "/unknown", words[2], "NO_SUCH_PRODUCT"); }
    catch (StatusRuntimeException error) {
      System.out.printf("error %s %s%n", error.getStatus().getCode(), reason(error));
    }
    follow(channel, Path.of(words[3]));
  }
}
