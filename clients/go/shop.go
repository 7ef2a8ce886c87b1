// A shop that buys, reads the reason of an error, and follows events: shop ADDRESS LINE MSISDN TOKEN_FILE
package main

import (
	"context"
	"fmt"
	"log"
	"math/rand"
	"os"
	"time"

	pb "connectivity/v1"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/health" // what healthCheckConfig needs
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

var scope = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://shop.example/production/purchases"))

// reason of an error, or "" when the gateway gave none.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, found := detail.(*errdetails.ErrorInfo); found {
			return info.Reason
		}
	}
	return ""
}

// buy buys once, however often it is called for the same line of an order.
func buy(channel grpc.ClientConnInterface, line, msisdn, product string) (*pb.Order, error) {
	id, sim := uuid.NewSHA1(scope, []byte(line)), &pb.SimRef{Id: &pb.SimRef_Msisdn{Msisdn: msisdn}}
	request := &pb.CreateOrderRequest{RequestId: id.String(), Sim: sim, ProductId: product}
	answer, err := pb.NewProvisioningClient(channel).CreateOrder(context.Background(), request)
	return answer.GetOrder(), err
}

// follow prints every event at least once. The file keeps the last token.
func follow(channel grpc.ClientConnInterface, file string) {
	for ; ; time.Sleep(time.Duration(rand.Int63n(int64(time.Second)))) {
		token, _ := os.ReadFile(file)
		request := &pb.StreamEventsRequest{ResumeToken: string(token), Start: pb.StreamStart_STREAM_START_EARLIEST}
		stream, err := pb.NewEventsClient(channel).StreamEvents(context.Background(), request)
		for message := new(pb.StreamEventsResponse); err == nil; message, err = stream.Recv() {
			if event := message.GetEvent(); event != nil {
				fmt.Println("event", event.EventId, event.RawType, event.OrderId)
			}
			// After the event was handled, and as a whole: the file never has half a token.
			if message.ResumeToken != "" && (os.WriteFile(file+".new", []byte(message.ResumeToken), 0o600) != nil || os.Rename(file+".new", file) != nil) {
				log.Fatal("the token cannot be stored")
			}
		}
		lost, code := reason(err), status.Code(err)
		if lost == "EVENT_CURSOR_EXPIRED" || lost == "EVENT_CURSOR_INVALID" {
			fmt.Println("events were lost: compare with Inventory")
			os.Remove(file)
		} else if code == codes.InvalidArgument || code == codes.PermissionDenied || code == codes.Unauthenticated {
			log.Fatal(err)
		}
	}
}

func main() {
	config, _ := os.ReadFile("clients/service_config.json")
	alive := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute})
	channel, err := grpc.Dial(os.Args[1], grpc.WithInsecure(), alive, grpc.WithDefaultServiceConfig(string(config)))
	if err != nil {
		log.Fatal(err)
	}
	order, err := buy(channel, os.Args[2], os.Args[3], "WW_901O_STACK_ONEOFF_FRANCE_1GB_7D")
	fmt.Println("order", order.GetOrderId(), order.GetState(), reason(err))
	_, err = buy(channel, os.Args[2]+"/unknown", os.Args[3], "NO_SUCH_PRODUCT")
	fmt.Println("error", status.Code(err), reason(err))
	follow(channel, os.Args[4])
}
