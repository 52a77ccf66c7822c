// The chat server of the Go books: goroutines that share nothing but channels.
//
// How it works. A goroutine per client reads its lines and hands them to one
// broadcaster goroutine, which alone knows who is here. The broadcaster puts each
// line into the channel of everybody but the speaker; a second goroutine per client
// takes lines out of that channel and writes them.
//
// What is good. No lock, all see one order, and goroutines are cheap.
//
// What it costs. A channel that is full stops the broadcaster, so one member who
// never reads stops the room. Every line is a system call for every member.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"net"
)

type client chan<- string // what this client is to be sent

type message struct {
	from client
	text string
}

var (
	entering = make(chan client)
	leaving  = make(chan client)
	messages = make(chan message)
)

func broadcaster() {
	members := make(map[client]bool)
	for {
		select {
		case m := <-messages:
			for member := range members {
				if member != m.from {
					member <- m.text
				}
			}
		case member := <-entering:
			members[member] = true
		case member := <-leaving:
			delete(members, member)
			close(member)
		}
	}
}

func read(conn net.Conn, name string) {
	outbox := make(chan string, 64) // lines; room for a burst while the writer writes
	go write(conn, outbox)
	entering <- outbox
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		messages <- message{outbox, "[" + name + "] " + lines.Text() + "\r\n"}
	}
	leaving <- outbox
	conn.Close()
}

func write(conn net.Conn, outbox <-chan string) {
	for text := range outbox {
		fmt.Fprint(conn, text) // An error shows up in read, too; Nagle is off in Go.
	}
}

func main() {
	port := flag.Int("port", 5000, "port to listen on")
	flag.Parse()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", listener.Addr())
	go broadcaster()
	for number := 1; ; number++ {
		conn, err := listener.Accept()
		if err != nil {
			log.Print(err)
			continue
		}
		go read(conn, fmt.Sprintf("guest%d", number))
	}
}
