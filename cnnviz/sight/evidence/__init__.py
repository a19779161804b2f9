"""What a network's answer rests on: occlusion, Grad-CAM, invariance, random weights."""
